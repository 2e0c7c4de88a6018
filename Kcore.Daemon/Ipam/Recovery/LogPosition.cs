using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Kcore.Daemon.Ipam.Recovery;

/// <summary>How far a copy of the log goes: of two, the one with the larger last term is ahead, and with equal ones the longer (Raft thesis §3.6.1).</summary>
internal readonly record struct LogPosition(ulong Term, ulong Index) : IComparable<LogPosition>
{
    public int CompareTo(LogPosition other) => (Term, Index).CompareTo((other.Term, other.Index));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Term}:{Index}");

    public static bool TryParse(string text, out LogPosition position)
    {
        string[] parts = text.Split(':');
        position = default;
        if (parts.Length != 2
            || !ulong.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out ulong term)
            || !ulong.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out ulong index))
        {
            return false;
        }

        position = new LogPosition(term, index);
        return true;
    }
}

/// <summary>A node whose copy of the log still exists, as the operator read it there: <c>NODE=TERM:INDEX</c>.</summary>
internal sealed record Survivor(string Name, LogPosition Position)
{
    public static bool TryParse(string text, [NotNullWhen(true)] out Survivor? survivor)
    {
        int cut = text.LastIndexOf('=');
        survivor = cut > 0 && LogPosition.TryParse(text[(cut + 1)..], out LogPosition position) ? new Survivor(text[..cut], position) : null;
        return survivor is not null;
    }
}
