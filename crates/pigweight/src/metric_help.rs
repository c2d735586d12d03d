//! What each metric means, as `/metrics` tells it.

use metrics::{describe_counter, describe_gauge, describe_histogram};

const COUNTERS: [(&str, &str); 15] = [
    (
        "pigweight_camera_units_lost_total",
        "Pictures of cameras that were not counted because decoding was slower than the camera.",
    ),
    ("pigweight_frames_cancelled_total", "Frames that nobody waited for any more."),
    ("pigweight_frames_passed_over_total", "Frames that the detector left out because newer ones had come."),
    ("pigweight_frames_refused_total", "Requests for frames that were refused because too many waited."),
    ("pigweight_http_connections_refused_total", "Connections that found no room."),
    ("pigweight_http_requests_total", "HTTP requests, by route and status."),
    ("pigweight_inference_server_requests_total", "Requests to inference servers, by server and outcome."),
    ("pigweight_jpeg_cache_total", "Requests for JPEG frames, by whether they were found in memory."),
    ("pigweight_mqtt_connections_total", "Connections to the MQTT broker."),
    ("pigweight_mqtt_messages_total", "Messages sent to the MQTT broker, without pictures."),
    ("pigweight_mqtt_pictures_total", "Pictures sent to the MQTT broker."),
    (
        "pigweight_recording_units_lost_total",
        "Pictures of cameras that were not recorded because the disk was slower than the camera.",
    ),
    (
        "pigweight_small_pictures_total",
        "Requests for small pictures, by whether they were kept on disk or decoded.",
    ),
    (
        "pigweight_webhook_deliveries_total",
        "Tries to deliver an event to a webhook, by what it answered: received, busy, failed or gone.",
    ),
    ("pigweight_workers_lost_total", "Worker processes that ended while a job needed them."),
];

const GAUGES: [(&str, &str); 18] = [
    ("pigweight_cameras", "Cameras, by state."),
    ("pigweight_device", "1 for the device that runs the detector, 0 for the others."),
    ("pigweight_frames_waiting", "Requests that wait for a frame."),
    ("pigweight_inference_server_up", "1 if an inference server answers, 0 if it is missing."),
    ("pigweight_inference_waiting", "Pictures that wait for the detector, by who wants them."),
    ("pigweight_jobs", "Jobs, by state."),
    ("pigweight_jpeg_cache_bytes", "Bytes of JPEG frames in memory."),
    ("pigweight_mqtt_connected", "Whether the MQTT broker is connected: 1 or 0."),
    ("pigweight_small_pictures_bytes", "Bytes of small pictures on disk."),
    ("pigweight_stream_pieces_bytes", "Bytes of HLS segments in memory."),
    ("pigweight_transcoded_cameras", "Cameras whose video is transcoded for viewers."),
    ("pigweight_video_socket_viewers", "Viewers of cameras over WebSockets."),
    ("pigweight_videos", "Videos, by state."),
    ("pigweight_webhook_events_waiting", "Events that a webhook has yet to receive, of all kinds."),
    ("pigweight_webrtc_viewers", "Viewers of cameras by WebRTC."),
    ("pigweight_workers", "Worker processes, one for each open video."),
    ("pigweight_workers_resident_memory_bytes", "Memory of all worker processes, bytes."),
    ("process_resident_memory_bytes", "Memory of the server without its worker processes, bytes."),
];

const HISTOGRAMS: [(&str, &str); 8] = [
    ("pigweight_frame_decode_seconds", "Time to decode a frame, with those before it from its keyframe on."),
    ("pigweight_frame_encode_seconds", "Time to encode a frame as JPEG."),
    ("pigweight_frame_seek_seconds", "Time to seek to a requested frame."),
    ("pigweight_frame_wait_seconds", "Time that a request for a frame waited for its turn."),
    ("pigweight_http_request_seconds", "Time to the head of the answer, by route and status."),
    ("pigweight_inference_pictures", "Pictures inferred at once."),
    ("pigweight_inference_seconds", "Time of an inference."),
    ("pigweight_inference_wait_seconds", "Time that a picture waited for the detector, by who wanted it."),
];

/// Tells the recorder.
pub fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for (name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(name, help);
    }
}
