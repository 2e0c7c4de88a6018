using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>What the next pass over the kernel would do. Nothing is written to find out.</summary>
public sealed record PlanReport(ImmutableArray<PlanStep> Steps, ImmutableArray<PlanRefusal> Refusals, string Text)
{
    /// <summary>Observed state equals desired state.</summary>
    public bool IsEmpty => Steps.IsEmpty && Refusals.IsEmpty;
}

/// <param name="Op"><c>add</c>, <c>change</c>, <c>remove</c>, or <c>held</c>: a removal that waits.</param>
/// <param name="Object"><c>link</c>, <c>fdb</c>, <c>address</c>, …</param>
/// <param name="Reason">The catalog fact behind the step.</param>
public sealed record PlanStep(string Op, string Object, string Device, string Detail, string Reason, bool Disruptive);

public sealed record PlanRefusal(string Object, string Device, string Reason);
