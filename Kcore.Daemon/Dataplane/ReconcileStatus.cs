using System.Collections.Immutable;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;

namespace Kcore.Daemon.Dataplane;

/// <summary>How far the kernel is what it should be, as of the last pass.</summary>
/// <param name="At">When the pass ended.</param>
/// <param name="Took">How long it took.</param>
/// <param name="Networks">By network name.</param>
/// <param name="Error">Why the pass could not be made at all; the rest is then older.</param>
/// <param name="HeldBack">Deletions that wait, and why.</param>
internal sealed record ReconcileStatus(
    DateTimeOffset At,
    TimeSpan Took,
    ImmutableSortedDictionary<string, NetworkHealth> Networks,
    string? Error,
    int HeldBack,
    string? HeldBackReason,
    ImmutableArray<string> Advisories)
{
    /// <summary>Foreign rules that drop what we need.</summary>
    public ImmutableArray<FirewallBlock> Blocks { get; init; } = [];

    /// <summary>Conditions of the host that people must know.</summary>
    public IEnumerable<string> Warnings => Advisories.Concat(Blocks.Select(b => b.ToString()));

    /// <summary>What was dropped at guests' ports, counted since each was attached, as of the last time our tables were read.</summary>
    public ImmutableArray<GuestDrop> Drops { get; init; } = [];

    public static ReconcileStatus None { get; } = new(
        DateTimeOffset.MinValue, TimeSpan.Zero, ImmutableSortedDictionary<string, NetworkHealth>.Empty,
        "no pass was made yet", 0, null, []);
}

/// <summary>Frames of one guest that were dropped for one reason.</summary>
internal sealed record GuestDrop(string Network, string Nic, string Device, DropReason Reason, FrameCount Count);

/// <param name="Failure">Null when the network is ready.</param>
/// <param name="Nics">Local NICs by name.</param>
internal sealed record NetworkHealth(string? Failure, ImmutableSortedDictionary<string, NicHealth> Nics)
{
    public bool IsReady => Failure is null;
}

/// <param name="AttachmentId">Which attachment of that name: one that was detached and attached again is another.</param>
/// <param name="Failure">Null when the NIC is ready.</param>
internal sealed record NicHealth(string AttachmentId, string? Failure);

/// <summary>A plan made from a fresh look at the kernel, for people; nothing was written.</summary>
internal sealed record PlanReport(DataplanePlan Plan, ImmutableArray<PlanLine> Lines, string Text);

/// <summary>Something was not as we left it and has been put right.</summary>
/// <param name="Object">What, for example "fdb vxlan14458 flood -> 192.0.2.12".</param>
/// <param name="Network">The network it serves; empty for what serves all.</param>
/// <param name="SinceNotification">Time from the kernel's notification to the repair; null when a periodic pass found it.</param>
/// <param name="Count">How often within the last 10 s; from 3 on somebody is fighting us, and repairs slow down to one a second.</param>
/// <param name="By">The program that changed it, where the kernel says: for nftables only.</param>
internal sealed record DriftRepair(string Object, string Network, TimeSpan? SinceNotification, int Count, string? By = null)
{
    public bool IsFight => Count >= FightTracker.FightCount;
}

/// <summary>Hears what the data plane did. Called on the loop; must not block.</summary>
internal interface IDataplaneObserver
{
    void DriftRepaired(DriftRepair repair);

    void Reconciled(ReconcileStatus status);
}
