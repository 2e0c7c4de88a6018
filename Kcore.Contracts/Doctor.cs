using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>What <c>kctl doctor</c> shows: each thing that was looked at, well or not.</summary>
/// <param name="Healthy">No check failed.</param>
public sealed record DoctorReport(string Node, bool Healthy, ImmutableArray<DoctorCheck> Checks);

/// <param name="Name">Stable, for scripts.</param>
/// <param name="Result"><c>ok</c>, <c>warning</c> or <c>failed</c>.</param>
/// <param name="Findings">What was found; empty when all is well.</param>
/// <param name="Next">What to do or to look at.</param>
public sealed record DoctorCheck(string Name, string Result, ImmutableArray<string> Findings, string? Next = null);
