//! Any bytes as a stored index: refused, or an index that can be asked and is the same when it is stored again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pigweight_core::time::Pts;
use pigweight_media::VideoIndex;

fuzz_target!(|bytes: &[u8]| {
    let Ok(index) = VideoIndex::from_bytes(bytes) else { return };
    for pts in [index.first_pts(), index.last_pts(), Pts(i64::MIN), Pts(i64::MAX), Pts(0)] {
        let _maybe = (index.frame_at(pts), index.place_of(pts), index.key_near(pts));
    }
    let again = VideoIndex::from_bytes(&index.to_bytes()).expect("what was stored is read");
    assert_eq!(index, again);
});
