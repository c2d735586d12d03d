//! Cameras at this machine, with devices that aren't there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::usb::{DeviceFormat, FrameCoding, FrameDevice, UsbConnector, open_device};
use pigweight_live::{Camera, CameraState, Codec, Failure, Received};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Gives its frames, and is unplugged then.
struct Fake {
    coding: FrameCoding,
    frames: VecDeque<Vec<u8>>,
}

impl FrameDevice for Fake {
    fn format(&self) -> DeviceFormat {
        DeviceFormat { coding: self.coding, width: 4, height: 2 }
    }

    fn next_frame(&mut self) -> io::Result<Vec<u8>> {
        self.frames.pop_front().ok_or_else(|| io::Error::other("No such device"))
    }
}

/// A camera with this device, and what it has sent when it is unplugged.
async fn play(
    coding: FrameCoding,
    frames: Vec<Vec<u8>>,
) -> (Vec<Received>, CameraState, Camera, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let (count, frames) = (opened.clone(), Mutex::new(VecDeque::from(frames)));
    // It isn't opened before there is a subscriber: on a busy machine that would miss everything.
    let gate = Arc::new(Mutex::new(()));
    let may_open = gate.clone();
    let open = move |_: &std::path::Path| {
        drop(may_open.lock().unwrap());
        count.fetch_add(1, Ordering::SeqCst);
        let frames = std::mem::take(&mut *frames.lock().unwrap());
        Ok(Box::new(Fake { coding, frames }) as Box<dyn FrameDevice>)
    };
    let encode = |picture: pigweight_core::picture::PictureView<'_>| {
        Ok(format!("{}x{}", picture.width, picture.height).into_bytes())
    };
    let path = PathBuf::from("/dev/video7");
    let (camera, mut subscription) = {
        let _closed = gate.lock().unwrap();
        let connector = UsbConnector::new(path, Arc::new(open), Arc::new(encode));
        let camera = Camera::start(Box::new(connector), 0.0);
        let subscription = camera.subscribe();
        (camera, subscription)
    };
    let away = camera.wait_for(|state| matches!(state, CameraState::Away { .. }));
    let away = tokio::time::timeout(PATIENCE, away).await.expect("it is unplugged").unwrap();
    let mut received = Vec::new();
    while let Ok(unit) = tokio::time::timeout(Duration::ZERO, subscription.next()).await {
        received.push(unit);
    }
    (received, away.state, camera, opened)
}

fn units(received: &[Received]) -> Vec<(Codec, Vec<u8>, bool, u16)> {
    let units = received.iter().map(|received| match received {
        Received::Unit(unit) => (unit.codec, unit.data.to_vec(), unit.is_keyframe, unit.lost_packets),
        other => panic!("{other:?}"),
    });
    units.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jpeg_pictures_come_without_filling_and_cut_off_ones_count_as_lost() {
    let picture =
        [&[0xff, 0xd8, 0xff, 0xc0, 0, 8, 8, 0, 48, 0, 64, 1][..], &[0xff, 0xda, 0, 2, 7, 7, 0xff, 0xd9]]
            .concat();
    let filled = [&picture[..], &[0; 100]].concat();
    let (received, away, camera, opened) =
        play(FrameCoding::Jpeg, vec![filled, picture[..15].to_vec(), picture.clone()]).await;
    assert_eq!(
        units(&received),
        [(Codec::Mjpeg, picture.clone(), true, 0), (Codec::Mjpeg, picture, true, 1)]
    );
    assert!(matches!(away, CameraState::Away { failure: Failure::Ended { .. }, .. }), "{away:?}");
    // It is plugged in again: it is opened anew by itself.
    let again = camera.wait_for(|state| matches!(state, CameraState::Connecting));
    tokio::time::timeout(PATIENCE, again).await.expect("it is tried again");
    camera.stop().await;
    assert!(opened.load(Ordering::SeqCst) >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_pictures_are_coded_and_h264_is_passed_on_from_its_first_keyframe() {
    let (received, _, camera, _) =
        play(FrameCoding::Yuyv { stride: 8 }, vec![vec![128; 16], vec![128; 3], vec![128; 16]]).await;
    assert_eq!(
        units(&received),
        [(Codec::Mjpeg, b"4x2".to_vec(), true, 0), (Codec::Mjpeg, b"4x2".to_vec(), true, 1)]
    );
    camera.stop().await;
    let (key, other) = (vec![0, 0, 0, 1, 0x65, 1], vec![0, 0, 0, 1, 0x41, 2]);
    let (received, _, camera, _) =
        play(FrameCoding::H264, vec![other.clone(), key.clone(), other.clone()]).await;
    assert_eq!(units(&received), [(Codec::H264, key, true, 0), (Codec::H264, other, false, 0)]);
    camera.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_not_there_is_told() {
    let found = open_device(std::path::Path::new("/dev/video987")).err();
    assert!(
        matches!(&found, Some(Failure::Unreachable { host, .. }) if host == "/dev/video987"),
        "{found:?}"
    );
}
