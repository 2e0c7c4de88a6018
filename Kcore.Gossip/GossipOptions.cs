namespace Kcore.Gossip;

/// <summary>Times and sizes of the protocol. The defaults are for a LAN of 3 to some thousand nodes.</summary>
public sealed record GossipOptions
{
    /// <summary>A crash is known in some three seconds; hosts that stand still for less than 2.5 s are not declared dead.</summary>
    public static GossipOptions Lan { get; } = new();

    /// <summary>
    /// For hosts that stand still for seconds (slow disks, live snapshots, heavy overcommitment): nobody is declared dead
    /// within 8 s of silence, and a crash is known only after some ten.
    /// </summary>
    public static GossipOptions LanSafe { get; } = new() { SuspicionMin = TimeSpan.FromSeconds(8), SuspicionMaxFactor = 3 };

    /// <summary>One probe per period, whatever the size; detection time grows linearly with it.</summary>
    public TimeSpan ProbePeriod { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Least silence before death, for up to ten members; one second more per further power of ten. It begins when the first
    /// accuser's own pings have gone unanswered.
    /// </summary>
    public TimeSpan SuspicionMin { get; init; } = TimeSpan.FromSeconds(2.5);

    /// <summary>The suspicion lasts at most this many times its minimum when no witness confirms it.</summary>
    public int SuspicionMaxFactor { get; init; } = 4;

    /// <summary>Members asked to probe for us when a direct probe is not answered.</summary>
    public int IndirectProbes { get; init; } = 3;

    /// <summary>Local health goes from 0 (well) to this; it stretches our own probes.</summary>
    public int HealthMax { get; init; } = 8;

    /// <summary>A deadline served this late means that we were stopped, not the others.</summary>
    public TimeSpan StallThreshold { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long we hear from nobody before we say that we are the isolated one.</summary>
    public TimeSpan IsolatedAfter { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>News of others is collected this long before it is passed on.</summary>
    public TimeSpan Coalesce { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Pace of the repeated sends after the first push.</summary>
    public TimeSpan RepairTick { get; init; } = TimeSpan.FromMilliseconds(60);

    /// <summary>A digest may differ this long before it is repaired: rumors may still be on their way.</summary>
    public TimeSpan RepairAfter { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Longest pause between two attempts to reach one address that does not answer.</summary>
    public TimeSpan ReconnectMax { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Bytes of rumors a second; digests repair what is held back.</summary>
    public int RumorBytesPerSecond { get; init; } = 128 * 1024;

    /// <summary>A tombstone that every active member holds goes after this time.</summary>
    public TimeSpan TombstoneMin { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A tombstone goes after this time whoever holds it; members below the floor get a snapshot.</summary>
    public TimeSpan TombstoneMax { get; init; } = TimeSpan.FromHours(24);
}
