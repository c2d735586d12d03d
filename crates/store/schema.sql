-- The store as it is now. The upgrades in upgrades/ make it; a test compares the two. Nothing runs this file: it is here to be
-- read.
--
-- SQL that SQLite and PostgreSQL both read. Identifiers are ULIDs in lower case: they sort by the time at which they were made.
-- Times of day are seconds since 1970 (UTC). Moments in a video are integer ticks (pts) or seconds since its first frame
-- (secs). Places are px of the upright picture.

-- Where recordings come from. Lines and settings of a source hold for all its recordings, older and newer.
create table sources (
  id text primary key not null,
  kind text not null,                      -- folder: the files that lie directly in it; upload: one file; camera
  name text not null,                      -- for people
  folder text,                             -- absolute; null for an upload or a camera
  min_score double precision,              -- boxes count as animals from this score on; null: as calibrated or configured
  created_at bigint not null,
  animals bigint,                          -- how many a person says there are; null: unknown
  input_width_px bigint,                   -- of the detector's input, as a person has set it; null: chosen from the size of the animals
  measured_input_width_px bigint,          -- what was chosen; null before it was measured
  measured_animal_px double precision,     -- median side (root of the area) of its animals, px of the detector's usual input
  measured_inference_secs double precision, -- time of an inference at the chosen width
  measured_with text                       -- BLAKE3 of the model that it was measured with and holds for
);
create unique index sources_by_folder on sources (folder);

-- A recording: a video file as it was when it was registered. Another file at the same path is another row. What a camera
-- sends is one recording, which has no file; its path is `camera/` and the camera's identifier, and its second 0 is the source's created_at.
create table videos (
  id text primary key not null,
  source_id text references sources (id),  -- null only while a row is being written
  path text not null,                      -- absolute
  name text not null,                      -- for people: the path below the folder it was found in
  min_score double precision,              -- the recording's own threshold; null: its source's
  min_score_model text,                    -- BLAKE3 of the model that it was fitted with and holds for; null: it holds for all
  is_superseded boolean not null default false, -- the file at this path is another one now
  is_paused boolean not null default false, -- the background does not work on it
  published_run_id text references runs (id), -- the run that people see, a complete one; null before there is one
  added_at bigint not null,
  number bigint not null default 0,        -- the order in which they were registered
  -- What identifies the file. The first four are compared at each scan; the hashes are read when one of them differs.
  size_bytes bigint not null,
  modified_nanos bigint not null,          -- since 1970
  changed_nanos bigint,                    -- of the inode, since 1970: nothing sets it back. Null: read the file at the next scan
  inode bigint,
  head_hash text not null,                 -- BLAKE3 of the first 64 KiB
  samples_hash text,                       -- BLAKE3 of samples from all over the file: identifies a file that was copied back
                                           -- with another time; null for one registered before upgrade 6 and not there since
  -- What opening it told. Either error, or the rest.
  error text,                              -- why it cannot be read
  error_code text,                         -- short name of error
  damage text,                             -- what is missing although it can be read
  repairs text,                            -- what was wrong with its times, and how it was repaired
  container text,
  codec text,
  has_audio boolean,
  width_px bigint,                         -- of the upright picture
  height_px bigint,
  frames bigint,
  duration_secs double precision,
  recorded_at bigint,                      -- start of the recording as the file says
  view_checked_with text,                  -- BLAKE3 of the adapted detector whose view it was compared with
  view_matches boolean,                    -- whether it shows that view; null: not compared, or that detector doesn't say
  packet_index blob                        -- the media crate's own form, with its own version
);
create unique index videos_by_path on videos (path) where not is_superseded;
create index videos_by_any_path on videos (path, number);
create unique index videos_by_number on videos (number);
create index videos_by_source on videos (source_id);
create index videos_by_name on videos (name, id) where not is_superseded;

-- A camera. Its identifier is its source's.
create table cameras (
  source_id text primary key not null references sources (id),
  video_id text not null references videos (id), -- what it sends
  url text not null,                       -- without user and password
  user_name text,
  password text,                           -- as the camera knows it; sent to the camera and to no other host
  removed_at bigint,                       -- no longer connected; what was counted stays
  recording text,                          -- what is kept of what it sends: all, marked, off; null: as configured
  counting_url text                        -- the stream that is counted, at the same host; null: that of url
);

-- What cameras were doing, without the attempts in between. The newest 2,000 of each are kept.
create table camera_states (
  source_id text not null references sources (id),
  number bigint not null,                  -- of one camera, in the order in which they were entered: clocks are set back
  state text not null,                     -- connecting, live, away, stopped: the server was not running
  reason_code text,                        -- short name of reason
  reason text,                             -- why it is away, or stopped other than by a person
  since_millis bigint not null,            -- since 1970
  primary key (source_id, number)
);

-- What cameras have sent, in files of their own below the data folder. A row is written before its file and removed before it.
create table camera_recordings (
  id text primary key not null,            -- the name of its file
  source_id text not null references sources (id),
  start_ticks bigint not null,             -- of its first frame, 1/90000 s since the source's created_at
  end_ticks bigint,                        -- of its last frame; null while it is being written
  started_at_millis bigint not null,       -- time of day of its first frame, since 1970
  size_bytes bigint not null default 0,
  frames bigint not null default 0
);
create index camera_recordings_by_time on camera_recordings (source_id, start_ticks);

-- Stretches of a camera that a person wants to keep. Recordings that overlap one, or a crossing, are removed last.
create table camera_marks (
  id text primary key not null,
  source_id text not null references sources (id),
  from_secs double precision not null,     -- since the source's created_at
  to_secs double precision not null,
  note text not null,                      -- for people; may be empty
  created_at bigint not null
);
create index camera_marks_by_source on camera_marks (source_id, from_secs);

-- One analysis of one recording with one model and one set of settings.
create table runs (
  id text primary key not null,
  video_id text not null references videos (id),
  model_name text not null,
  model_hash text not null,                -- BLAKE3 of the model file
  device text not null,                    -- as measured; several, separated by commas, if it changed on the way
  settings text not null,                  -- everything that could change the result, one canonical line
  inference_settings text,                 -- the part of it that decides which frames are inferred; null before upgrade 3
  least_score double precision,            -- detections from this score on are kept; null before upgrade 3
  rule_version bigint not null,            -- of the counting rules
  state text not null,                     -- running, done, failed; abandoned: other settings hold now, it continues if these
                                           -- come back
  error text,                              -- why it failed
  created_at bigint not null,
  finished_at bigint,
  frames_done bigint not null default 0,   -- settled and written
  frames_inferred bigint not null default 0, -- of those, processed by the detector
  damaged_frames bigint not null default 0,
  counted_to_secs double precision not null default 0, -- end of what is settled
  count_sum bigint not null default 0,     -- animals summed over settled frames
  count_max bigint not null default 0,
  next_chunk bigint not null default 0,    -- sequence of the chunk to write next
  uncertainty_squares double precision,    -- the squared uncertainties of the inferred frames' counts, summed; null: its detector
                                           -- doesn't say what its scores mean
  measured_boxes bigint not null default 0, -- counted boxes on inferred frames, where it does
  small_boxes bigint not null default 0,   -- of those, boxes that are smaller than it finds reliably
  number bigint not null default 0         -- the order in which they were started, whatever the clock said
);
create index runs_by_video on runs (video_id, number);
create unique index runs_by_number on runs (number);

-- The pipeline's state after the last chunk of a run in progress. Apart from the runs, so that reading a run never reads it.
create table run_checkpoints (
  run_id text primary key not null references runs (id),
  state blob not null
);

-- Detections and tracks in time order: compressed columns (columns.rs), one row a checkpoint.
create table detection_chunks (
  run_id text not null references runs (id),
  sequence bigint not null,                -- from 0
  first_secs double precision not null,
  last_secs double precision not null,
  frames bigint not null,
  boxes bigint not null,
  data blob not null,
  primary key (run_id, sequence)
);
create index detection_chunks_by_time on detection_chunks (run_id, last_secs);

-- Animals on the picture per stretch of time, at several levels of detail: the sum of what the chunks say.
create table counts (
  run_id text not null references runs (id),
  level_secs bigint not null,              -- length of a stretch: 1, 10, 100
  bucket bigint not null,                  -- its number: floor(secs / level_secs)
  frames bigint not null,
  sum bigint not null,
  min bigint not null,
  max bigint not null,
  primary key (run_id, level_secs, bucket)
);

-- A directed segment that a person drew. It keeps its identity while it is moved.
create table lines (
  id text primary key not null,
  source_id text references sources (id),  -- it holds for all recordings of this source,
  video_id text references videos (id),    -- or for this recording alone; exactly one of the two
  name text not null,
  created_at bigint not null,
  deleted_at bigint,                       -- no longer shown or counted; what was counted stays
  number bigint not null default 0,        -- the order in which they were drawn
  check ((source_id is null) <> (video_id is null))
);
create index lines_by_source on lines (source_id);
create index lines_by_video on lines (video_id);
create unique index lines_by_number on lines (number);

-- Where a line lies. The version with the highest number is the current one. On a recording of another size with the same
-- aspect it is scaled; with another aspect it does not apply.
create table line_versions (
  id text primary key not null,
  line_id text not null references lines (id),
  number bigint not null,                  -- from 1
  x1_px double precision not null,
  y1_px double precision not null,
  x2_px double precision not null,
  y2_px double precision not null,
  picture_width_px bigint,                 -- of the picture it was drawn on; null where that was not known
  picture_height_px bigint,
  created_at bigint not null,
  camera_settled_secs double precision,    -- up to where its camera was settled then: earlier crossings make no events; null: no camera
  unique (line_id, number)
);

-- How far a line version has been counted over a run's chunks. Written together with its crossings, so a crossing is neither
-- lost nor doubled.
create table line_progress (
  run_id text not null references runs (id),
  line_version_id text not null references line_versions (id),
  next_chunk bigint not null,              -- sequence of the first chunk not counted yet
  counter blob not null,                   -- the counter's state after the chunk before
  primary key (run_id, line_version_id)
);

-- One settled passage of a track over a line version. Its identifier never changes.
create table crossings (
  id text primary key not null,
  run_id text not null references runs (id),
  line_version_id text not null references line_versions (id),
  number bigint not null,                  -- from 0, in order of settling
  direction text not null,                 -- forward, backward
  track bigint not null,                   -- of the run
  pts bigint not null,                     -- first frame beyond the line
  secs double precision not null,
  unique (run_id, line_version_id, number)
);
create index crossings_by_time on crossings (run_id, secs);

-- Work for the background. Its progress is stored on its run, its pause on its video.
create table jobs (
  id text primary key not null,
  number bigint not null,                  -- in the order in which they were made
  video_id text not null references videos (id),
  kind text not null,                      -- analysis
  fingerprint text not null,               -- hash of model, settings and rules: the same fingerprint is the same job
  state text not null,                     -- waiting, running, done, failed, cancelled
  priority bigint not null default 0,      -- -100 to 100, the highest first
  tries bigint not null default 0,         -- how often it was begun since it last made progress
  due_at bigint not null default 0,        -- not to be begun before
  error text,                              -- why it failed, was cancelled, or has to be tried again
  error_code text,                         -- short name of error; of no meaning without it
  run_id text references runs (id),        -- the run that holds its results; null before the first step
  created_at bigint not null,
  started_at bigint,                       -- for the first time
  finished_at bigint,
  lease_owner text,                        -- the process that works on it
  lease_expires_at bigint                  -- after that the process is gone
);
create unique index jobs_by_fingerprint on jobs (video_id, kind, fingerprint);
create index jobs_by_state on jobs (state, number);

-- Processes that use the store.
create table processes (
  id text primary key not null,            -- new at each start
  started_at bigint not null,
  expires_at bigint not null               -- renewed while it runs; after that it is gone
);

-- Which process sees which file. The expiry is the process's: to write it to thousands of rows every few seconds would keep a
-- disk busy for nothing.
create table presence (
  video_id text not null references videos (id),
  owner text not null references processes (id),
  seen_at_millis bigint not null,          -- since 1970; when the file was last seen anew
  primary key (video_id, owner)
);

-- What other programs are told, in the order in which it was settled. Rows that every webhook has received go, but for the newest;
-- without webhooks none are written.
create table events (
  number bigint primary key not null,      -- from 1, without gaps
  id text not null,                        -- no other event ever has it: the same at each try of a delivery
  kind text not null,                      -- crossing, run, camera_state
  crossing_id text references crossings (id),
  run_id text references runs (id),        -- of the kind run: it was published
  replaced_run_id text references runs (id), -- of the kind run: it was published before; null: none was
  source_id text references sources (id),  -- of the kind camera_state: the camera
  state text,                              -- connecting, live, away, removed
  reason_code text,                        -- short name of reason
  reason text,                             -- why it is away
  occurred_at_millis bigint not null       -- since 1970: when it was settled, published, or the state began
);

-- Receivers of events.
create table webhooks (
  id text primary key not null,            -- BLAKE3 of its address, which may hold a secret
  delivered_number bigint not null,        -- of the last event that it received or doesn't want
  created_at bigint not null
);

-- Topics under which an MQTT broker keeps messages of this server: they are emptied when they are no longer wanted.
create table retained_topics (
  topic text primary key not null
);
