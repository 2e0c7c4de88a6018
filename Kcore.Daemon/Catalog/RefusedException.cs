using System.Collections.Immutable;
using Kcore.Contracts;

namespace Kcore.Daemon.Catalog;

/// <summary>A request that is refused with a category, its evidence and what to do; it leaves no trace (behaviour 107).</summary>
internal sealed class RefusedException(ErrorCode code, string message, ImmutableArray<string> details = default, string? next = null)
    : Exception(message)
{
    public Problem Problem { get; } = new(code, message, details.IsDefault ? [] : details, next);
}
