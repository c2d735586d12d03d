//! Makes cargo rebuild when an upgrade file is added.

fn main() {
    println!("cargo::rerun-if-changed=upgrades");
}
