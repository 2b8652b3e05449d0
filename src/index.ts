/**
 * The library: every room's public face, from the ground up. Each export is documented where it is defined.
 *
 * @example
 * import { evolve, openSetup, presets, presentVersions, renderTable, RunDirectory } from 'search-e1';
 *
 * const settings = presets.smoke;
 * // null: the embedded world and its base policy.
 * const inputs = { questions: null, corpus: null, tokenizer: null, model: null, template: null, evaluate: [], threads: null };
 * const { setup, hashes, engine, close } = await openSetup(inputs, settings);
 * const config = { schema: 1, preset: 'smoke', settings, inputs, hashes, engine, versions: presentVersions() } as const;
 * const run = await RunDirectory.create('runs/mine', config);
 * const { results } = await evolve(setup, settings, run);
 * console.log(renderTable(results));
 * await run.close();
 * await close();
 */

// The algorithms, as pure functions.
export { type AdvantageForm, advantagesOf } from './algorithms/advantages.ts';
export { type Credit, type Credited, withCredit } from './algorithms/credit.ts';
export { divergenceBatch, type PromptedPair } from './algorithms/distill.ts';
export {
  type Advantage,
  groupAdvantages,
  policyGradientBatch,
  type RolledOutStep,
  type Weighted,
  weighGroups,
  zeroVarianceShare,
} from './algorithms/grpo.ts';
export { differenceOf, findExpert, minePair, type Pair } from './algorithms/pairs.ts';
export { type RewardPart, rewardOf } from './algorithms/reward.ts';
export { acceptedTrajectories, crossEntropyBatch, type Response } from './algorithms/sft.ts';
// Ground: errors, questions, random streams.
export { UserError } from './base/errors.ts';
export type { Question } from './base/question.ts';
export { Random, type StreamKey, streamKey, uniformAt } from './base/random.ts';
export { parseAddress, type ServedAddress } from './base/served-address.ts';
// Baselines over any text model.
export { type BaselineName, baselineNames, promptedBaselines } from './baselines/all.ts';
export type { Attempt } from './baselines/attempt.ts';
export { attemptQuestion } from './baselines/attempt-question.ts';
export type { Baseline } from './baselines/baseline.ts';
export { AttemptEnded, BaselineSession, type BaselineSessionOptions } from './baselines/session.ts';
export type { Benchmark, BenchmarkName } from './benchmarks/benchmark.ts';
// Questions and their scores.
export { exactMatch, f1, normalizeAnswer, substringMatch } from './benchmarks/exact-match.ts';
export { readQuestions } from './benchmarks/questions.ts';
export { locateBenchmark, readBenchmark } from './benchmarks/read-benchmark.ts';
export { type Score, type ScoreSummary, scorePrediction, summarizeScores } from './benchmarks/score.ts';
export { benchmarks } from './benchmarks/suites/all.ts';
// Checkpoints and tokenizers in Hugging Face's form.
export { type Adapter, readAdapter, writeAdapter } from './checkpoint/adapter-directory.ts';
export type { ModelConfig, RopeScaling, SpecialTokens } from './checkpoint/config.ts';
export { FAMILIES, type Family } from './checkpoint/families.ts';
export {
  type DownloadProgress,
  describeModel,
  type HubOptions,
  type LocatedModel,
  locateModel,
  type MissingFiles,
} from './checkpoint/hub-model.ts';
export { type Model, type ModelFiles, readModel, type WriteOptions, writeModel } from './checkpoint/model-directory.ts';
export { readSafetensors, safetensorsBytes, type Tensor } from './checkpoint/safetensors.ts';
export { loadTokenizer } from './checkpoint/tokenizer.ts';
export type { Tokenizer } from './checkpoint/tokenizer.types.ts';
export type { TokenizerFiles } from './checkpoint/tokenizer-files.ts';
export {
  type EngineOptions,
  OnnxPolicy,
  openPolicy,
  openPolicyDirectory,
  type PolicySource,
} from './engines/onnx/engine.ts';
export {
  EMBEDDED,
  type EngineIdentity,
  type EngineSettings,
  type OpenedEngine,
  openEngine,
  type Pace,
  probe,
} from './engines/open-engine.ts';
// Models that others serve, and checkpoints behind the same contract.
export { openServedModel, type ServedModelSettings } from './engines/openai/served-model.ts';
export { textPolicy } from './engines/text-policy.ts';
// A search agent, ready to be asked.
export { type Agent, type AgentOptions, type Asked, type AskOptions, openAgent } from './evaluation/agent.ts';
// Evaluation: questions asked, answers kept, results compared.
export { type Comparison, compareEvaluations } from './evaluation/compare.ts';
export type { Conditions } from './evaluation/conditions.ts';
export { readEvaluation } from './evaluation/evaluation-directory.ts';
export { publishedRows } from './evaluation/published.ts';
export type { EvaluationResults, NamedEvaluation } from './evaluation/results.ts';
// The whole loop, its run directory and its report.
export { estimateRun, type RunEstimate } from './evolve/estimate.ts';
export { type EvolveOptions, evolve } from './evolve/evolve.ts';
export type { EvolveEvent, EvolveState, Journal, MetricRecord, PairRecord } from './evolve/journal.ts';
export { type Inputs, openSetup, type SetupHashes } from './evolve/open.ts';
export { type PresetName, presets } from './evolve/presets.ts';
export { memoryOfRun, type Remedy, refuseUnfit, remedies, type StageMemory } from './evolve/requirements.ts';
export type * from './evolve/results.ts';
export { type Settings, settingsSchema } from './evolve/settings.ts';
export type { Setup, Suite } from './evolve/setup.ts';
export { type System, type SystemName, systemNames, systemOf } from './evolve/systems.ts';
// Experiments: arms and seeds over a shared base.
export { type Arm, type ArmName, allArmNames, armNames, armOf } from './experiment/arms.ts';
export { type Definition, experimentSettings, seedsOf } from './experiment/definition.ts';
export { type ExperimentRecord, readExperiment } from './experiment/record.ts';
export { findPairExamples, type PairExamples } from './experiment/report/examples.ts';
export { renderExperimentReport, writeExperimentReport } from './experiment/report.ts';
export { type ExperimentEvent, type ExperimentOptions, runExperiment } from './experiment/run-experiment.ts';
export type { Summary, Verdict } from './experiment/schema.ts';
export { readSummary, summarizeExperiment } from './experiment/summary.ts';
// The engine's contract, and the embedded engine.
export * from './policy/policy.ts';
export { policyGradientOf, policyGradientTerms } from './policy/policy-gradient.ts';
export * from './policy/text-model.ts';
// The agent's language and its loop.
export { type Stretch, turnsOf } from './protocol/authors.ts';
export { type ExpertView, expertView } from './protocol/expert.ts';
export { lastAnswer, parseTurn, wellFormed } from './protocol/parser.ts';
export { studentPrompt, teacherPrompt } from './protocol/prompts.ts';
export type { Template } from './protocol/template.ts';
export { openTemplate, readTemplate, searchR1Template, worldTemplate } from './protocol/templates.ts';
// Retrieval.
export { Bm25Index, type Bm25Settings } from './retrieval/bm25.ts';
export { loadCorpus, type ReadCorpusOptions, readCorpus } from './retrieval/corpus.ts';
export { buildDenseIndex, type DenseBuild } from './retrieval/dense/build.ts';
export { DenseRetriever } from './retrieval/dense/dense-retriever.ts';
export type { Embedder } from './retrieval/dense/embedder.ts';
export { openFaissFlat } from './retrieval/dense/faiss.ts';
export { openEmbedder } from './retrieval/dense/open-embedder.ts';
export { DiskBm25, type DiskBm25Options } from './retrieval/disk-bm25.ts';
export { evaluateRetriever, type RetrievalScores } from './retrieval/evaluation/evaluate-retriever.ts';
export { type JudgedQuery, readJudgedQueries } from './retrieval/evaluation/judgements.ts';
export { openHttpRetriever } from './retrieval/http/client.ts';
export { serveRetriever } from './retrieval/http/server.ts';
export { fuse, HybridRetriever } from './retrieval/hybrid.ts';
export { type BuildEvent, type BuildOptions, buildIndex } from './retrieval/index/build.ts';
export type { Scoring } from './retrieval/index/load.ts';
export { type Manifest as IndexManifest, readManifest as readIndexManifest } from './retrieval/index/manifest.ts';
export { openRetriever } from './retrieval/open-retriever.ts';
export type {
  Hit,
  OpenRetriever,
  Passage,
  Retriever,
  RetrieverInfo,
  RetrieverStatistics,
} from './retrieval/retriever.ts';
export type { Gold, GoldOf, GoldStep } from './rollout/gold.ts';
export type { FinishedRollout, Reward } from './rollout/reward.ts';
export type { Environment, RolloutTask } from './rollout/rollout.ts';
export { groupTasks, type RollOutOptions, rollOut } from './rollout/rollouts.ts';
export {
  rollOutText,
  type TextSegment,
  type TextSurroundings,
  type TextTask,
  type TextTrajectory,
} from './rollout/text-rollout.ts';
export {
  isFailure,
  policyTokenCount,
  type SearchRecord,
  type StopReason,
  type Trajectory,
} from './rollout/trajectory.ts';
export { readTrajectories } from './rollout/trajectory-file.ts';
export {
  type Deadlines,
  defaultDeadlines,
  defaultLimits,
  type RolloutEvent,
  type RolloutLimits,
} from './rollout/turns.ts';
export { presentVersions, type RunConfig } from './runs/config-record.ts';
export { type ExportSource, exportAdapter, exportGguf, exportMerged, openExport } from './runs/export.ts';
export { readReportInput, renderReport } from './runs/report.ts';
export { RunDirectory } from './runs/run-directory.ts';
export { RunFiles } from './runs/run-files.ts';
export { renderMarkdown, renderTable } from './runs/table.ts';
// An agent for others: as OpenAI's chat completions, and as tools of the Model Context Protocol.
export { chatProtocol } from './serving/chat.ts';
export { Desk, type DeskOptions } from './serving/desk.ts';
export { mcpProtocol, mcpServer } from './serving/mcp.ts';
export { defaultServingOptions, type ServingOptions, serveAgent } from './serving/serve-agent.ts';
// The embedded world and the warm-up of base policies.
export { filesSource } from './warmup/files-source.ts';
export {
  type PretrainedRecipe,
  pretrainedRecipe,
  pretrainedRecipeSchema,
  type Recipe,
  recipeSchema,
  worldRecipe,
} from './warmup/recipe.ts';
export { type WarmUpEvent, warmUp } from './warmup/warm-up.ts';
export { worldSource } from './warmup/world-source.ts';
export { generateWorld, type World } from './world/generate.ts';
export { evaluationQuestions, SUITES, trainingQuestions } from './world/suites.ts';
