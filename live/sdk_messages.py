"""Protocol Buffers by the official SDK (tinker 0.24.1): its generated module, and its own conversions to and from it.

    python sdk_messages.py make            examples: bytes in base64, and what the SDK reads from them, as JSON
    python sdk_messages.py read < REQUEST  a ForwardBackwardRequest as JSON
"""

import base64
import json
import sys

import numpy as np
from tinker import types
from tinker.proto import request_conv, response_conv
from tinker.proto import tinker_public_pb2 as pb


def read(data: bytes) -> dict:
    message = pb.ForwardBackwardRequest()
    message.ParseFromString(data)
    kinds = {pb.DTYPE_FLOAT32: np.float32, pb.DTYPE_INT64: np.int64}
    return {
        "model_id": message.model_id,
        "seq_id": message.seq_id,
        "loss_fn": message.loss_fn,
        "forward_only": message.forward_only,
        "unknown": message.ByteSize() != len(data),
        "data": [
            {
                "tokens": [np.frombuffer(chunk.encoded_text.tokens, np.int32).tolist() for chunk in datum.model_input],
                "inputs": {
                    name: {
                        "data": np.frombuffer(tensor.dense, kinds[tensor.dtype]).tolist(),
                        "shape": list(tensor.shape),
                    }
                    for name, tensor in datum.loss_fn_inputs.items()
                },
            }
            for datum in message.data
        ],
    }


def request() -> dict:
    weights = [0.1, -3.5e-9, 0.0]
    table = types.TensorData(data=[0.5, 0.25, 0.0, 1e-12, 0.3, -0.7], dtype="float32", shape=[3, 2])
    data = [
        types.Datum(
            model_input=types.ModelInput.from_ints([5, 151_935, 7]),
            loss_fn_inputs={
                "target_tokens": types.TensorData(data=[151_935, 7, 0], dtype="int64", shape=[3]),
                "weights": types.TensorData(data=weights, dtype="float32", shape=[3]),
            },
        ),
        types.Datum(
            model_input=types.ModelInput.from_ints([1, 2, 3]),
            loss_fn_inputs={
                "target_tokens": types.TensorData(data=[2, 9, 3, 9, 4, 9], dtype="int64", shape=[3, 2]),
                "weights": table,
            },
        ),
    ]
    whole = types.ForwardBackwardRequest(
        forward_backward_input=types.ForwardBackwardInput(data=data, loss_fn="cross_entropy"),
        model_id="model-7",
        seq_id=300,
    )
    message = request_conv.forward_backward_request_to_proto(whole).SerializeToString(deterministic=True)
    return {"bytes": base64.b64encode(message).decode(), "value": read(message)}


def batch(rows: list, dtype: int, kind: type, trailing: list = []) -> pb.BatchedTensor:
    arrays = [np.asarray(row, kind) for row in rows]
    offsets = np.cumsum([0] + [array.nbytes for array in arrays], dtype=np.int64)
    joined = b"".join(array.tobytes() for array in arrays)
    return pb.BatchedTensor(data=joined, offsets=offsets.tobytes(), dtype=dtype, trailing_shape=trailing)


def passes() -> dict:
    """Rows of float32 and of bfloat16 in two records, ids of 64 and 32 bits, a metric that is not finite."""
    first = pb.ArrayRecord(type_tag="x", num_datums=2)
    first.fields["logprobs"].CopyFrom(batch([[-0.1, -2.5], [-3e-8]], pb.DTYPE_FLOAT32, np.float32))
    first.fields["ids"].CopyFrom(batch([[1, 2], [2**40]], pb.DTYPE_INT64, np.int64))
    second = pb.ArrayRecord(type_tag="x", num_datums=1)
    upper = (np.asarray([-1.5, -0.3], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    second.fields["logprobs"].CopyFrom(batch([upper], pb.DTYPE_BFLOAT16, np.uint16))
    second.fields["ids"].CopyFrom(batch([[7, -7]], pb.DTYPE_INT32, np.int32))
    message = pb.ForwardBackwardOutput(loss_fn_output_type="a:ArrayRecord", loss_fn_outputs=[first, second])
    message.metrics["loss:sum"] = -1.25
    message.metrics["none:sum"] = 0.0
    message.metrics["norm:max"] = float("nan")
    data = message.SerializeToString(deterministic=True)
    read_back = response_conv.deserialize_forward_backward_output(data)
    value = {
        "loss_fn_outputs": [{name: tensor.data for name, tensor in each.items()} for each in read_back.loss_fn_outputs],
        "metrics": read_back.metrics,
    }
    return {"bytes": base64.b64encode(data).decode(), "value": value}


def samples() -> dict:
    """Two continuations, scores without the first, a table whose first row is empty and whose last is short."""
    float32 = lambda values: np.asarray(values, np.float32).tobytes()
    int32 = lambda values: np.asarray(values, np.int32).tobytes()
    message = pb.SampleResponse(
        sequences=[
            pb.SampledSequence(stop_reason=pb.STOP_REASON_STOP, tokens=int32([3, 151_935]), logprobs=float32([-0.5, -1e-9])),
            pb.SampledSequence(stop_reason=pb.STOP_REASON_LENGTH, tokens=int32([4]), logprobs=float32([-2.0])),
        ],
        prompt_logprobs=float32([float("nan"), -0.25, -7.5]),
        topk_prompt_logprobs=pb.TopkPromptLogprobs(
            token_ids=int32([0, 0, 5, 6, 7, 0]),
            logprobs=float32([-99999.0, -99999.0, -0.1, -2.5, -0.2, -99999.0]),
            k=2,
            prompt_length=3,
        ),
        prompt_cache_hit_tokens=2,
    )
    data = message.SerializeToString(deterministic=True)
    read_back = response_conv.deserialize_sample_response(data)
    value = {
        "sequences": [
            {"stop_reason": each.stop_reason, "tokens": list(each.tokens), "logprobs": list(each.logprobs)}
            for each in read_back.sequences
        ],
        "prompt_logprobs": read_back.prompt_logprobs,
        "topk_prompt_logprobs": read_back.topk_prompt_logprobs,
    }
    return {"bytes": base64.b64encode(data).decode(), "value": value}


def plain(value: object) -> object:
    """NaN as null, arrays as lists."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and value != value else value


if __name__ == "__main__":
    if sys.argv[1] == "read":
        print(json.dumps(read(sys.stdin.buffer.read())))
    else:
        print(json.dumps(plain({"request": request(), "passes": passes(), "samples": samples()}), indent=1, sort_keys=True))
