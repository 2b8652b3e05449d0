/** The process that `askAdapter` starts: opens the GPU, tries tensors of the sizes given, and prints what it found as JSON. */
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf } from '../base/errors.ts';
import { Graph } from './graph.ts';

// What is discovered is logged, and read by who asked.
env.logLevel = 'info';

async function open(build: (graph: Graph) => void): Promise<InferenceSession> {
  const graph = new Graph('webgpu');
  build(graph);
  return InferenceSession.create(graph.build(), { executionProviders: ['webgpu', 'cpu'] });
}

/** Whether a tensor of so many bytes can be made and read. */
async function holds(session: InferenceSession, bytes: number): Promise<boolean> {
  const rows = BigInt(Math.ceil(bytes / 16));
  const shape = new Tensor('int64', BigInt64Array.of(rows, 4n), [2]);
  try {
    const { row } = await session.run({ shape, last: new Tensor('int64', BigInt64Array.of(rows - 1n), [1]) });
    return (row!.data as Float32Array)[3] === 1;
  } catch {
    return false;
  }
}

async function hasFloat16(): Promise<boolean> {
  try {
    const session = await open((graph) => {
      const half = graph.op('Cast', [graph.input('x', 'float32', [4])], { to: 10 });
      graph.output('y', 'float32', [4], graph.op('Cast', [graph.op('Add', [half, half])], { to: 1 }));
    });
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2, 3, 4), [4]) });
    return (y!.data as Float32Array)[3] === 8;
  } catch {
    return false;
  }
}

async function answer(): Promise<object> {
  try {
    // Ones are written, rows of four, and the last row read.
    const session = await open((graph) => {
      const ones = graph.op('Expand', [graph.float(1), graph.input('shape', 'int64', [2])]);
      graph.output('row', 'float32', [1, 4], graph.op('Gather', [ones, graph.input('last', 'int64', [1])]));
    });
    await holds(session, 1024);
    let held = 0;
    for (const bytes of process.argv.slice(2).map(Number)) {
      if (!(await holds(session, bytes))) break;
      held = bytes;
    }
    return { float16: await hasFloat16(), holds: held };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

process.stdout.write(`\n${JSON.stringify(await answer())}\n`, () => process.exit());
