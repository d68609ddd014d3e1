// The ONNX Runtime peer of the benchmark: answers the requests of peer.hpp on stdin and stdout; threads come from
// OMP_NUM_THREADS. The model is one ConvTranspose node, written here byte by byte (onnx.proto3's field numbers are named below).
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const readline = require('node:readline');
const ort = require('onnxruntime-node');

// Protocol buffers: a field is its number and wire type, then a varint (type 0) or a length and that many bytes (type 2).
function varint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}
const integer = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field, content) => Buffer.concat([varint(field * 8 + 2), varint(content.length), content]);
const text = (field, value) => bytes(field, Buffer.from(value));
const message = (field, ...parts) => bytes(field, Buffer.concat(parts));

const kFloat = 1;       // TensorProto.DataType.FLOAT
const kInt = 2;         // AttributeProto.AttributeType.INT
const kInts = 7;        // AttributeProto.AttributeType.INTS

const attribute = (name, values) =>  // NodeProto.attribute: name 1, i 3, ints 8, type 20
    Array.isArray(values) ?
    message(5, text(1, name), ...values.map((value) => integer(8, value)), integer(20, kInts)) :
    message(5, text(1, name), integer(3, values), integer(20, kInt));
const initializer = (name, shape, data) =>  // GraphProto.initializer: dims 1, data_type 2, name 8, raw_data 9
    message(5, ...shape.map((size) => integer(1, size)), integer(2, kFloat), text(8, name), bytes(9, data));
const tensor = (field, name, shape) =>  // ValueInfoProto: name 1, type 2 {tensor_type 1 {elem_type 1, shape 2 {dim 1 {dim_value 1}}}}
    message(field, text(1, name),
            message(2, message(1, integer(1, kFloat), message(2, ...shape.map((size) => message(1, integer(1, size)))))));

/** A ModelProto of one ConvTranspose; the shapes of its input and output are fixed. */
function model(problem, weight, bias) {
  const node = message(  // GraphProto.node: input 1, output 2, op_type 4, attribute 5
      1, text(1, 'x'), text(1, 'weight'), text(1, 'bias'), text(2, 'y'), text(4, 'ConvTranspose'),
      attribute('kernel_shape', problem.kernel), attribute('strides', problem.stride),
      attribute('dilations', problem.dilation), attribute('group', problem.groups),
      attribute('pads', [...problem.padding, ...problem.padding]), attribute('output_padding', problem.outputPadding));
  const graph = message(  // ModelProto.graph: node 1, name 2, initializer 5, input 11, output 12
      7, node, text(2, 'convt3d'), initializer('weight', problem.weightShape, weight),
      initializer('bias', [problem.co], bias), tensor(11, 'x', problem.inputShape), tensor(12, 'y', problem.outputShape));
  return Buffer.concat([integer(1, 8), message(8, text(1, ''), integer(2, 11)), graph]);  // ir_version 1, opset_import 8
}

function parse(words) {
  const numbers = words.slice(0, 22).map(Number);
  const [n, ci, co, groups] = numbers;
  const [size, output, kernel, stride, padding, dilation] = [4, 7, 10, 13, 16, 19].map((at) => numbers.slice(at, at + 3));
  const least = size.map((i, a) => (i - 1) * stride[a] - 2 * padding[a] + dilation[a] * (kernel[a] - 1) + 1);
  return {
    co, groups, kernel, stride, padding, dilation,
    folder: words[22],
    inputShape: [n, ci, ...size],
    outputShape: [n, co, ...output],
    weightShape: [ci, co / groups, ...kernel],
    outputPadding: output.map((o, a) => o - least[a]),
  };
}

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

/** ONNX Runtime multiplies into one column per tap and output channel; half of the free memory is the most we let it take. */
function refuseLargeColumns(problem) {
  const columnsBytes = 4 * product(problem.weightShape.slice(1)) * product(problem.inputShape.slice(2));
  if (columnsBytes > os.freemem() / 2) throw new Error(`its column buffer would take ${(columnsBytes / 2 ** 30).toFixed(1)} GiB`);
}

const floats = (buffer) => new Float32Array(buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.length));

class Problem {
  static async create(words) {
    const self = new Problem();
    const problem = parse(words);
    refuseLargeColumns(problem);
    const load = (name) => fs.readFileSync(`${problem.folder}/${name}.f32`);
    self.folder = problem.folder;
    self.feeds = {x: new ort.Tensor('float32', floats(load('input')), problem.inputShape)};
    self.output = new Float32Array(product(problem.outputShape));
    self.fetches = {y: new ort.Tensor('float32', self.output, problem.outputShape)};  // written in place
    self.session = await ort.InferenceSession.create(model(problem, load('weight'), load('bias')), {
      intraOpNumThreads: Number(process.env.OMP_NUM_THREADS),
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
    });
    return self;
  }

  async measure(warmups, repetitions) {
    for (let i = 0; i < warmups; ++i) await this.session.run(this.feeds, this.fetches);
    const start = process.hrtime.bigint();
    for (let i = 0; i < repetitions; ++i) await this.session.run(this.feeds, this.fetches);
    return Number(process.hrtime.bigint() - start) / 1e6 / repetitions;
  }

  saveOutput() {
    fs.writeFileSync(`${this.folder}/output.f32`, Buffer.from(this.output.buffer));
  }

  release() { return this.session.release(); }
}

async function answer(verb, words, state) {
  switch (verb) {
    case 'problem':
      if (state.problem) await state.problem.release();
      state.problem = null;  // first give back the memory of the one before
      state.problem = await Problem.create(words);
      return 'ConvTranspose';
    case 'run':
      return String(await state.problem.measure(Number(words[0]), Number(words[1])));
    case 'output':
      state.problem.saveOutput();
      return '';
    default:
      throw new Error(`unknown request ${verb}`);
  }
}

async function main() {
  console.log(`ok ONNX Runtime ${ort.env.versions.node}`);
  const state = {problem: null};
  for await (const line of readline.createInterface({input: process.stdin})) {
    const [verb, ...words] = line.split(' ');
    try {
      console.log(`ok ${await answer(verb, words, state)}`);
    } catch (error) {
      console.log(`no ${String(error.message).replace(/\s+/g, ' ')}`);
    }
  }
}

main();
