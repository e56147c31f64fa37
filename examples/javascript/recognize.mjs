// The emotion in the first 3 s of a WAV file, by a host that has none of our code.
//
//   ser-export --model cnn --format onnx-waveform
//   npm install --prefix examples/javascript --no-package-lock
//   node examples/javascript/recognize.mjs exports/cnn-waveform.onnx speech.wav
//
// Prints the label, and the probability of each. The file must be 16-bit PCM at the model's rate
// (16 kHz): sox in.flac -r 16000 -b 16 -c 1 speech.wav

import { readFile } from "node:fs/promises";

import { openModel, recognize } from "./model.mjs";

async function main([modelPath, wavPath]) {
  if (!wavPath) throw new Error("usage: node recognize.mjs MODEL.onnx FILE.wav");
  const model = await openModel(new Uint8Array(await readFile(modelPath)));
  const { labels, spec } = model.metadata;
  const samples = readWav(new Uint8Array(await readFile(wavPath)), spec.sample_rate);
  const probabilities = await recognize(model, samples);
  const best = probabilities.indexOf(Math.max(...probabilities));
  console.log(labels[best]);
  labels.forEach((label, i) => console.log(`${label}\t${probabilities[i].toFixed(6)}`));
}

// The first channel of a WAV file of 16-bit PCM: a Float32Array in [-1, 1].
function readWav(bytes, wantedRate) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const name = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") {
    throw new Error("this is no WAV file");
  }
  let format;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [chunk, length] = [name(at), view.getUint32(at + 4, true)];
    at += 8;
    if (chunk === "fmt ") {
      const [kind, channels] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
      const [rate, bits] = [view.getUint32(at + 4, true), view.getUint16(at + 14, true)];
      if (kind !== 1 || bits !== 16 || rate !== wantedRate) {
        throw new Error(`the WAV file must be 16-bit PCM at ${wantedRate} Hz, not ${rate} Hz`);
      }
      format = { channels };
    } else if (chunk === "data" && format) {
      const stride = 2 * format.channels;
      const count = Math.floor(Math.min(length, bytes.length - at) / stride);
      const sample = (_, i) => view.getInt16(at + i * stride, true) / 32768;
      return Float32Array.from({ length: count }, sample);
    }
    at += length + (length % 2);
  }
  throw new Error("the WAV file holds no audio");
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
