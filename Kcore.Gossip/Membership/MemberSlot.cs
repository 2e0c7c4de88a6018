namespace Kcore.Gossip;

/// <summary>One row of the member table: what is said of a member, and what this node alone knows of it.</summary>
internal sealed class MemberSlot(Member record)
{
    public Member Record { get; set; } = record;

    /// <summary>An authenticated packet of it was received.</summary>
    public bool HasSpoken { get; set; }

    /// <summary>Its digests have not been compared with ours since it appeared.</summary>
    public bool IsUncompared { get; set; }

    /// <summary>How much of this node's own origin it has acknowledged, in the current epoch.</summary>
    public ulong Acknowledged { get; set; }

    /// <summary>Place among the active others; -1 when it is none of them.</summary>
    public int Place { get; set; } = -1;

    /// <summary>Bytes of rumors it may be sent now; null until there was a reason to count.</summary>
    public Allowance? Budget { get; set; }

    /// <summary>Returns from the dead within minutes; null when it never died.</summary>
    public Flapping? Flapping { get; set; }
}

/// <summary>How often a member died and rose again of late.</summary>
internal sealed record Flapping(int Count, TimeSpan Last);
