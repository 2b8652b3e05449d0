/** Texts that ONNX Runtime 1.30 was seen to throw: on SwiftShader, and on a driver made to fail (testing/faulty-driver.c). */
import { expect, it } from 'vitest';
import { deviceFailure } from './device-failure.ts';

const DOWNLOAD =
  '/onnxruntime_src/onnxruntime/core/providers/webgpu/buffer_manager.cc:641 void onnxruntime::webgpu::BufferManager::Download(WGPUBuffer, void*, size_t) const map_async_result.status == wgpu::MapAsyncStatus::Success was false. Failed to download data from buffer. wgpu::MapAsyncStatus value:';

it.each([
  [
    '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:207 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> device_result.status == wgpu::RequestDeviceStatus::Success was false. Failed to get a WebGPU device: vkCreateDevice failed with VK_ERROR_INITIALIZATION_FAILED\n    at CheckVkSuccessImpl (/build/Release/_deps/dawn-src/src/dawn/native/vulkan/VulkanError.cpp:106)\n',
    'the GPU was found, and its driver refused to open it',
  ],
  [
    `${DOWNLOAD} 4, message: [Device] is lost.\n`,
    'the GPU was lost: its driver stopped, was reset, or had no memory left',
  ],
  [
    'WebGPU validation failed. Buffer size (2147483648) exceeds the max buffer size limit (1073741824).\n - While calling [Device].CreateBuffer([BufferDescriptor]).\n',
    'a tensor is larger than this GPU may hold in one piece',
  ],
  [
    "Non-zero status code returned while running Expand node. Name:'Expand:t2' Status Message: narrowing_error",
    'a tensor is larger than this GPU may hold in one piece',
  ],
  [
    'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While encoding [CommandEncoder (unlabeled)].CopyBufferToBuffer([Invalid Buffer (unlabeled)], 0, [Invalid Buffer (unlabeled)], 0, 5088).\n - While finishing [CommandEncoder (unlabeled)].\n',
    "the GPU's memory is full",
  ],
  [
    `${DOWNLOAD} 3, message: [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n`,
    "the GPU's memory is full",
  ],
  [
    "Non-zero status code returned while running Equal node. Name:'Equal:t27' Status Message: /onnxruntime_src/onnxruntime/core/providers/webgpu/buffer_manager.cc:562 WGPUBufferImpl* onnxruntime::webgpu::BufferManager::Create(size_t, wgpu::BufferUsage, bool, bool) const [ONNXRuntimeError] : 1 : FAIL : Failed to create a WebGPU compute pipeline: CreateComputePipelines failed with VK_ERROR_UNKNOWN\n - While initializing [ComputePipeline (unlabeled)]\n    at CheckVkSuccessImpl (/build/Release/_deps/dawn-src/src/dawn/native/vulkan/VulkanError.cpp:106)\n",
    "the GPU's driver refused a shader",
  ],
  [
    "Non-zero status code returned while running Cast node. Name:'Cast:t1' Status Message: shader_helper.cc:416 GenerateSourceCode Program Cast requires f16 but the device does not support it.",
    "the GPU's driver refused a shader",
  ],
  ['Failed to pop WebGPU error scope. status=3', 'the GPU did not do what it was asked'],
])('%s', (text, says) => {
  const failure = deviceFailure(new Error(text));
  expect(failure?.message).toBe(
    `${says}; a run goes on with --resume, on the processor with --resume and --device cpu`,
  );
  expect(failure?.continues).toBe(true);
});

it('leaves other errors alone', () => {
  expect(deviceFailure(new Error('the weights hold NaN'))).toBeUndefined();
});
