/** What goes wrong on a GPU, told apart by the texts of Dawn and ONNX Runtime (nothing else distinguishes it), in one sentence each. */
import { messageOf, UserError } from '../base/errors.ts';

/** Ends every sentence, since what is wrapped around an error keeps its message and not its hint. */
const GOES_ON = 'a run goes on with --resume, on the processor with --resume and --device cpu';

/** A GPU cannot do what it should, which ends no run for good. */
export function gpuError(
  says: string,
  options: Pick<ErrorOptions, 'cause'> & { readonly hint?: string } = {},
): UserError {
  return new UserError(`${says}; ${GOES_ON}`, { ...options, continues: true });
}

const FAILURES: readonly { readonly sign: RegExp; readonly says: string; readonly hint?: string }[] = [
  {
    sign: /Failed to get a WebGPU adapter|No supported adapters/,
    says: 'this machine has no GPU that WebGPU can use',
    hint: 'Use --device cpu. On Linux a GPU needs its Vulkan driver and the loader (libvulkan.so.1).',
  },
  {
    sign: /Failed to get a WebGPU device/,
    says: 'the GPU was found, and its driver refused to open it',
    hint: 'Use --device cpu, or bring the driver up to date.',
  },
  {
    // A driver without memory for its own needs loses the device too, and nothing tells the two apart.
    sign: /[Dd]evice (is|was) lost|\[Device[^\]]*\] is lost|device lost|DeviceLost|VK_ERROR_DEVICE_LOST/,
    says: 'the GPU was lost: its driver stopped, was reset, or had no memory left',
  },
  {
    sign: /maximum storage buffer binding size|max buffer size|narrowing_error|Allocation size too large/,
    says: 'a tensor is larger than this GPU may hold in one piece',
    hint: 'Use --device cpu, a smaller model, or shorter contexts.',
  },
  {
    sign: /OUT_OF_(DEVICE|HOST)_MEMORY|E_OUTOFMEMORY|[Oo]ut of memory|Invalid Buffer[^\n]*is invalid due to a previous error/,
    says: "the GPU's memory is full",
    hint: 'Use fewer rollouts at a time (rollout.concurrency), shorter contexts, an adapter, or --device cpu.',
  },
  {
    sign: /WGSL|ShaderModule|compute pipeline|requires f16/,
    says: "the GPU's driver refused a shader",
    hint: 'Use --device cpu, or bring the driver up to date; docs/engine.md says what was run on what.',
  },
  { sign: /webgpu/i, says: 'the GPU did not do what it was asked' },
];

/** An error for the user, when `error` is one of the GPU's; undefined for any other. */
export function deviceFailure(error: unknown): UserError | undefined {
  const failure = FAILURES.find(({ sign }) => sign.test(messageOf(error)));
  if (!failure) return undefined;
  const { says, hint } = failure;
  return gpuError(says, { ...(hint !== undefined && { hint }), cause: error });
}
