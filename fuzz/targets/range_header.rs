//! Any Range header on a file of any size: what is served lies in the file.
#![no_main]

#[path = "../../crates/pigweight/src/web/request/byte_range.rs"]
mod byte_range;

use byte_range::{RangeRequest, requested_range};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (size_bytes, header) = input;
    if let RangeRequest::Part(first, last) = requested_range(header, size_bytes) {
        assert!(first <= last && last < size_bytes);
    }
});
