using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>One line of <c>kctl events -o json</c>.</summary>
/// <param name="Sequence">Strictly increasing on the reporting node.</param>
/// <param name="Time">RFC 3339 with microseconds, wall clock of the reporter.</param>
/// <param name="Node">The node it is about.</param>
/// <param name="Reporter">The node that saw it.</param>
public sealed record EventInfo(
    long Sequence,
    DateTimeOffset Time,
    string Type,
    string? Node,
    string Reporter,
    string? Network,
    string Message,
    ImmutableSortedDictionary<string, string> Details);
