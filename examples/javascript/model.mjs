// A waveform-in model file of `ser-export` (`--format onnx-waveform`) in JavaScript: in a browser
// as in Node. Nothing but onnxruntime-web is needed: the features are in the file's graph.

import * as ort from "onnxruntime-web";

// Opens the content of a model file, a Uint8Array.
export async function openModel(bytes) {
  const metadata = readMetadata(bytes);
  if (metadata.input !== "waveform") {
    throw new Error("this model takes features: export it with --format onnx-waveform");
  }
  ort.env.wasm.numThreads = 1;
  return { session: await ort.InferenceSession.create(bytes), metadata };
}

// Recognizes one window: a Float32Array of samples in [-1, 1] at metadata.spec.sample_rate, filled
// up with zeros, or cut, to metadata.spec.window_samples. Gives the probability of each label.
export async function recognize({ session, metadata }, samples) {
  const window = new Float32Array(metadata.spec.window_samples);
  window.set(samples.subarray(0, window.length));
  const waveform = new ort.Tensor("float32", window, [1, window.length]);
  const { probabilities } = await session.run({ waveform });
  return calibrated(Array.from(probabilities.data), metadata.temperature);
}

// Softmax of logits / temperature, from the softmax of the logits.
function calibrated(probabilities, temperature) {
  const powers = probabilities.map((p) => Math.max(p, 1e-12) ** (1 / temperature));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

// What the file says of itself: the fields `ser_edge.*` of ONNX's metadata_props, each JSON.
// onnxruntime-web does not hand them out, but they are easily read: of the protocol buffer ModelProto
// they are the entries of field 14, with a key (1) and a value (2).
export function readMetadata(bytes) {
  const metadata = {};
  for (const [field, entry] of fields(bytes)) {
    if (field !== 14) continue;
    const parts = new Map(fields(entry));
    const [key, value] = [1, 2].map((part) => new TextDecoder().decode(parts.get(part)));
    if (key.startsWith("ser_edge.")) metadata[key.slice("ser_edge.".length)] = JSON.parse(value);
  }
  return metadata;
}

// The fields of a protocol buffer: its number and its bytes, or its value where it is a number.
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= bytes.length) throw new Error("this is no ONNX file, or a damaged one");
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const kind = tag & 7;
    if (kind === 0) {
      yield [tag >> 3, varint()];
      continue;
    }
    const length = { 1: 8, 2: 0, 5: 4 }[kind];
    if (length === undefined) throw new Error("this is no ONNX file, or a damaged one");
    const end = (kind === 2 ? varint() : length) + at;
    yield [tag >> 3, bytes.subarray(at, end)];
    at = end;
  }
}
