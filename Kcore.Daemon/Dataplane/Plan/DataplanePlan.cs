using System.Collections.Immutable;
using Kcore.Daemon.Dataplane.Desired;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>What would be done, in this order, and what would not.</summary>
/// <param name="HeldBack">Deletions that wait; empty when deletions are allowed.</param>
/// <param name="HeldBackReason">Why they wait.</param>
/// <param name="Advisories">Conditions of the host that people must know.</param>
internal sealed record DataplanePlan(
    ImmutableArray<DataplaneStep> Steps,
    ImmutableArray<DataplaneStep> HeldBack,
    string? HeldBackReason,
    ImmutableArray<Refusal> Refusals,
    ImmutableArray<string> Advisories)
{
    public bool IsEmpty => Steps.IsEmpty;
}
