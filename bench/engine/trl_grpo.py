"""A GRPO step by TRL, end to end: a Llama of the given shape with random weights, k3 to a reference, one update.

Reads one JSON document on stdin: {config, threads, repeats, questions, group, prompt, fresh}: `questions` prompts of `prompt` tokens,
`group` samples of `fresh` tokens each. Prints one: {version, seconds, processor} of every step but the first; `processor` is seconds of
the processor, all threads together. Prompts are words of a vocabulary of words; samples have no end before `fresh` tokens. The
update runs over micro-batches of eight sequences, since all of them at once take more memory than a laptop has.
"""
import json, os, random, sys, tempfile, time

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")
import datasets, torch, transformers, trl
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

spec = json.load(sys.stdin)
c = spec["config"]
torch.set_num_threads(spec["threads"])
torch.manual_seed(1)
datasets.disable_progress_bars()
transformers.utils.logging.disable_progress_bar()

words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(c["vocabulary"])}, unk_token="w0"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="w0", eos_token="w1", unk_token="w0")

model = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=c["vocabulary"], hidden_size=c["hidden"], intermediate_size=c["intermediate"],
        num_hidden_layers=c["layers"], num_attention_heads=c["heads"], num_key_value_heads=c["keyValueHeads"],
        head_dim=c["headSize"], rms_norm_eps=c["rmsEpsilon"], tie_word_embeddings=c["tiedHead"],
        max_position_embeddings=c["contextLength"], rope_parameters=dict(rope_type="default", rope_theta=c["ropeTheta"]),
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )
)
folder = tempfile.mkdtemp()
# The reference is loaded from where the policy came from.
model.save_pretrained(f"{folder}/model")
tokenizer.save_pretrained(f"{folder}/model")

draw = random.Random(1)
steps = spec["repeats"] + 1
prompts = [
    " ".join(f"w{draw.randrange(2, c['vocabulary'])}" for _ in range(spec["prompt"]))
    for _ in range(steps * spec["questions"])
]
sequences = spec["questions"] * spec["group"]
micro = min(8, sequences)
marks = []


class Clock(TrainerCallback):
    def on_step_end(self, *_, **__):
        marks.append((time.perf_counter(), time.process_time()))


trainer = GRPOTrainer(
    model=f"{folder}/model",
    processing_class=tokenizer,
    # One right answer in five, whichever: the work is the same.
    reward_funcs=lambda completions, **_: [1.0 if i % spec["group"] == 0 else 0.0 for i in range(len(completions))],
    train_dataset=datasets.Dataset.from_dict(dict(prompt=prompts)),
    callbacks=[Clock()],
    args=GRPOConfig(
        output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[], save_strategy="no",
        logging_steps=10**6, disable_tqdm=True, max_steps=steps, seed=1, learning_rate=1e-6, max_grad_norm=1.0,
        per_device_train_batch_size=micro, gradient_accumulation_steps=sequences // micro,
        num_generations=spec["group"], max_completion_length=spec["fresh"], temperature=1.0, beta=0.001,
        num_iterations=1, generation_kwargs=dict(min_new_tokens=spec["fresh"]),
        model_init_kwargs=dict(dtype="float32"),
    ),
)
trainer.train()
differences = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(marks, marks[1:])]
print(
    json.dumps(
        dict(
            version=f"{trl.__version__}, PyTorch {torch.__version__}",
            seconds=[wall for wall, _ in differences],
            processor=[used for _, used in differences],
        )
    )
)
