using Kcore.Daemon.Dataplane.Plan;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>What became of a step.</summary>
/// <param name="Error">Null when the kernel has it as wanted.</param>
internal sealed record StepResult(DataplaneStep Step, string? Error);
