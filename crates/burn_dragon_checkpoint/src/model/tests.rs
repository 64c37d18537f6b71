use super::*;
use crate::kind::{CardText, TensorSpec};
use burn::tensor::Device;
use serde_json::{Value, json};

/// A family of one matrix: `{"size": N}`, and where `"bits"` is set its codes beside.
pub(crate) struct Toy;

impl ModelKind for Toy {
    fn family(&self) -> &'static str {
        "toy"
    }

    fn unit(&self) -> &'static str {
        "points"
    }

    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String> {
        let size = config["size"].as_u64().ok_or("it has no `size`")? as usize;
        let mut tensors = vec![TensorSpec::float("w", [size, 2])];
        if let Some(bits) = config["bits"].as_u64() {
            tensors.push(TensorSpec::codes("c", [size, 2], bits as u8));
        }
        Ok(tensors)
    }

    fn shape(&self, config: &Value) -> String {
        format!("size {}", config["size"])
    }

    fn probe(&self, _: ModelFile, _: &Path, _: &Device) -> Result<String, CheckpointError> {
        Ok("it stands".into())
    }

    fn card(&self, _: &ModelFile, _: &str) -> CardText {
        CardText::default()
    }
}

/// A toy whose first weight is this.
pub(crate) fn toy(first: f32) -> ModelFile {
    let mut values: Vec<f32> = (0..6).map(|value| value as f32 * 0.37).collect();
    values[0] = first;
    let tensors = BTreeMap::from([("w".to_string(), TensorData::new(values, [3, 2]))]);
    ModelFile::new("toy", &json!({"size": 3}), ModelInfo::default(), tensors).unwrap()
}

fn with_codes() -> ModelFile {
    let mut model = toy(1.0);
    model.config = StoredConfig::of(&json!({"size": 3, "bits": 2})).unwrap();
    let codes = Codes::pack(&[0, 1, 2, 3, 2, 1], 2, &[3, 2], "w").unwrap();
    model.tensors.insert("c".into(), StoredTensor::Codes(codes));
    model
}

fn again(model: &ModelFile) -> Result<ModelFile, CheckpointError> {
    ModelFile::from_tensor_file(model.clone().into_tensor_file(), Path::new("a.bpk"))
}

fn refused<T: std::fmt::Debug>(result: Result<T, CheckpointError>, reason: &str) {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(error.is_bad_input() && text.contains(reason), "{text}");
}

#[test]
fn a_model_of_any_family_comes_back_as_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bpk");
    for precision in StoredPrecision::ALL {
        let mut model = with_codes().rounded(precision, &path).unwrap();
        model = model.with_asset("labels.txt", "a\nb");
        model.info.units = 7;
        model.info.details.insert("kept".into(), json!([1, "x"]));
        model.write(&path).unwrap();
        let read = ModelFile::read(&path).unwrap();
        read.check(&Toy, &path).unwrap();
        assert_eq!(read.tensors, model.tensors);
        assert_eq!((&read.family, &read.info), (&model.family, &model.info));
        assert_eq!(read.assets, model.assets);
        assert_eq!(read.config.text(), model.config.text());
        assert_eq!(read.hash(), model.hash());
    }
}

#[test]
fn what_the_family_does_not_ask_for_is_refused() {
    let path = Path::new("a.bpk");
    let check = |change: &dyn Fn(&mut ModelFile)| {
        let mut model = with_codes();
        change(&mut model);
        model.check(&Toy, path)
    };
    check(&|_| {}).unwrap();
    let float = |shape: [usize; 2]| StoredTensor::Float(TensorData::zeros::<f32, _>(shape));
    refused(
        check(&|model| drop(model.tensors.remove("w"))),
        "lacks the tensor `w`",
    );
    refused(
        check(&|model| drop(model.tensors.insert("w".into(), float([2, 2])))),
        "[2, 2]",
    );
    refused(
        check(&|model| drop(model.tensors.insert("x".into(), float([3, 2])))),
        "does not have: x",
    );
    refused(
        check(&|model| drop(model.tensors.insert("c".into(), float([3, 2])))),
        "holds floats, expected codes of 2 bits",
    );
    refused(
        check(&|model| model.config = StoredConfig::of(&json!({"bits": 2})).unwrap()),
        "no `size`",
    );
}

#[test]
fn a_text_that_does_not_describe_a_model_is_refused() {
    let with = |key: &str, text: Option<&str>| {
        let mut file = with_codes().into_tensor_file();
        match text {
            Some(text) => file.metadata.insert(key.into(), text.into()),
            None => file.metadata.remove(key),
        };
        ModelFile::from_tensor_file(file, Path::new("a.bpk"))
    };
    again(&with_codes()).unwrap();
    refused(with("format", Some("burn_dragon.model/3")), "burn_dragon.model/3");
    refused(with("format", None), "without a model's description");
    refused(with("family", None), "no `family`");
    refused(with("family", Some("../x")), "not a plain name");
    refused(with("asset.a/b", Some("x")), "not a plain name");
    refused(with("config", Some("[]")), "object");
    refused(with("config", Some(r#"{"size":1,"size":2}"#)), "twice");
    refused(with("info", Some("{}")), "step");
    refused(
        with("codes", Some(r#"{"w":{"bits":2,"shape":[3,2],"scales":"c"}}"#)),
        "u8",
    );
    refused(
        with("codes", Some(r#"{"z":{"bits":2,"shape":[1],"scales":"w"}}"#)),
        "not there",
    );
    refused(
        with("codes", Some(r#"{"c":{"bits":2,"shape":[3,2],"scales":"z"}}"#)),
        "scales",
    );
    refused(with("codes", None), "u8");
    let long = format!(r#"{{"size":3,"x":"{}"}}"#, "a".repeat(MAX_TEXT));
    refused(with("config", Some(&long)), "at most");
}

#[test]
fn numbers_that_are_not_finite_are_refused_in_each_precision() {
    for precision in StoredPrecision::ALL {
        let data = precision.round(TensorData::new(vec![1.0f32, f32::INFINITY], [1, 2]));
        let mut model = toy(1.0);
        model.tensors.insert("w".into(), StoredTensor::Float(data));
        refused(again(&model), "not finite");
    }
    let beyond = toy(70_000.0).rounded(StoredPrecision::F16, Path::new("a.bpk"));
    let error = beyond.unwrap_err().to_string();
    assert!(error.contains("`w`") && error.contains("f16"), "{error}");
}
