//! An unusable detector: exit code 1 and one line with the cause and what to do.

use crate::server::{NO_RUNTIME, pigweight, root};
use pigweight_testkit::onnx_file::{
    self, Attribute, BOOL, FLOAT, Graph, INT64, Node, Tensor, node, tensor, value,
};
use std::path::{Path, PathBuf};

fn picture() -> PathBuf {
    root().join("fixtures/pictures/golden.png")
}

fn fixture(name: &str) -> PathBuf {
    root().join(format!("fixtures/models/{name}.onnx"))
}

/// The one line on stderr of `pigweight detect` that fails.
fn refusal(model: Option<&Path>, config: Option<&Path>) -> String {
    let mut command = pigweight();
    command.arg("detect").arg(picture());
    for (option, path) in [("--model", model), ("--config", config)] {
        if let Some(path) = path {
            command.arg(option).arg(path);
        }
    }
    let output = command.output().expect("the binary starts");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(output.stdout.is_empty(), "nothing on stdout");
    assert_eq!(stderr.trim_end().lines().count(), 1, "one line: {stderr}");
    stderr
}

fn assert_tells(stderr: &str, words: &[&str]) {
    for word in words {
        assert!(stderr.contains(word), "{word:?} is missing in: {stderr}");
    }
}

#[test]
fn without_a_model_the_built_in_one_is_used() {
    let boxes = |model: &[&Path]| {
        let mut command = pigweight();
        // So unsure that any detector finds something.
        command.args(["detect", "--json", "--min-score", "0.02"]).arg(picture());
        for path in model {
            command.arg("--model").arg(path);
        }
        let output = command.output().expect("the binary starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/pigs-640x384.onnx");
    let usual = boxes(&[]);
    assert!(usual.contains("\"score\""), "{usual}");
    assert_eq!(usual, boxes(&[&shipped]));
}

#[test]
fn without_its_runtime_setup_is_named() {
    let output = pigweight()
        .arg("detect")
        .arg(picture())
        .env("ORT_DYLIB_PATH", NO_RUNTIME)
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_tells(&stderr, &[NO_RUNTIME, "scripts/setup.sh", "ORT_DYLIB_PATH"]);
    assert_eq!(stderr.trim_end().lines().count(), 1, "one line: {stderr}");
}

#[test]
fn a_missing_file_is_named() {
    let stderr = refusal(Some(Path::new("nowhere/pigs.onnx")), None);
    assert_tells(&stderr, &["nowhere/pigs.onnx", "No such file", "--model FILE"]);
}

#[test]
fn text_is_no_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notes.onnx");
    std::fs::write(&file, "Sow 12 farrowed on Monday.\nEleven piglets.\n").expect("a file");
    assert_tells(&refusal(Some(&file), None), &["notes.onnx", "is not a model", "--model FILE"]);
}

#[test]
fn a_classifier_is_refused_with_the_supported_layouts() {
    let stderr = refusal(Some(&fixture("classifier")), None);
    assert_tells(
        &stderr,
        &["classifier.onnx", "probabilities", "(1, 10)", "YOLOX (1×cells×(5+C))", "detect.head"],
    );
}

#[test]
fn an_unknown_class_is_refused_with_the_list_of_known_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("pigweight.toml");
    std::fs::write(&config, "[detect]\nclasses = [\"cow\"]\n").expect("a file");
    let stderr = refusal(Some(&fixture("yolov8")), Some(&config));
    assert_tells(&stderr, &["yolov8.onnx", "\"cow\"", "sow, piglet"]);
}

#[test]
fn a_model_without_a_finite_number_is_not_an_empty_pen() {
    let stderr = refusal(Some(&fixture("not-finite")), None);
    assert_tells(&stderr, &["not-finite", "no finite number in any of its 420 rows", "--model FILE"]);
}

#[test]
fn a_run_of_a_model_without_a_finite_number_fails_and_says_why() {
    let (videos, data) = (crate::api::folder_of(&["gop25.mp4"]), tempfile::tempdir().expect("a folder"));
    let server = crate::server::Server::start(videos.path(), data.path(), Some(&fixture("not-finite")));
    let run = loop {
        let run = server.video("gop25.mp4")["run"].clone();
        if run["state"] == "failed" {
            break run;
        }
        crate::server::pause();
    };
    assert_tells(run["error"].as_str().expect("a reason"), &["not-finite", "no finite number"]);
    assert_eq!(run["frames_done"], 0, "nothing of it is taken for a count: {run}");
}

/// A model of these nodes with the output of a YOLOv8 for 64 × 64 px.
fn of_nodes(nodes: Vec<Node>, weights: Vec<Tensor>) -> tempfile::NamedTempFile {
    let graph = Graph {
        nodes,
        weights,
        inputs: vec![value("images", FLOAT, &[1, 3, 64, 64])],
        outputs: vec![value("output0", FLOAT, &[1, 5, 84])],
        ..Graph::default()
    };
    let file = tempfile::Builder::new().suffix(".onnx").tempfile().expect("a file");
    std::fs::write(file.path(), onnx_file::file(graph, &[])).expect("it is written");
    file
}

#[test]
fn a_model_that_declares_more_memory_than_there_is_dies_alone() {
    // A tebibyte of zeros in 200 bytes.
    let sizes = tensor("sizes", INT64, &[1], &[(1_u64 << 38) as f32]);
    let nodes = vec![
        node("ConstantOfShape", &["sizes"], &["zeros"]),
        node("ReduceMean", &["zeros"], &["mean"]),
        node("Expand", &["mean", "shape"], &["output0"]),
    ];
    let shape = tensor("shape", INT64, &[3], &[1.0, 5.0, 84.0]);
    let file = of_nodes(nodes, vec![sizes, shape]);
    let stderr = refusal(Some(file.path()), None);
    assert_tells(&stderr, &[&file.path().display().to_string(), "--model FILE"]);
    assert!(stderr.contains("memory") || stderr.contains("alloc"), "{stderr}");
}

#[test]
fn a_model_that_never_ends_is_ended() {
    let scalar = |name: &str, element, number| tensor(name, element, &[], &[number]);
    let inside = Graph {
        name: "body".into(),
        nodes: vec![
            node("Identity", &["goes_on"], &["still_goes_on"]),
            node("Identity", &["boxes"], &["same_boxes"]),
        ],
        inputs: vec![
            value("turn", INT64, &[]),
            value("goes_on", BOOL, &[]),
            value("boxes", FLOAT, &[1, 5, 84]),
        ],
        outputs: vec![value("still_goes_on", BOOL, &[]), value("same_boxes", FLOAT, &[1, 5, 84])],
        ..Graph::default()
    };
    let mut endless = node("Loop", &["turns", "always", "first"], &["output0"]);
    endless.attributes = vec![Attribute { name: "body".into(), graph: Some(Box::new(inside)), kind: 5 }];
    let first = tensor("first", FLOAT, &[1, 5, 84], &[0.0; 5 * 84]);
    let weights = vec![scalar("turns", INT64, i64::MAX as f32), scalar("always", BOOL, 1.0), first];
    let file = of_nodes(vec![endless], weights);
    let stderr = refusal(Some(file.path()), None);
    assert_tells(&stderr, &["more than 20 s of processor time", "--model FILE"]);
}
