using Kcore.Daemon.Cluster.Members;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Facts;

/// <summary>
/// After a start, nothing is removed from the kernel before the catalog was compared with a peer's or the node is known
/// to be alone: a catalog that is still arriving must not take down what runs. A minute is enough; after that the node
/// is on its own and obeys its own users.
/// </summary>
internal sealed class DeletionGate(GossipReports gossip, TimeProvider time)
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    /// <summary>A difference is reported after a second; agreement is silence for a little longer.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(1.5);

    private readonly long _started = time.GetTimestamp();
    private long? _peerSince;
    private bool _open;

    /// <summary>Null when deletions may be applied, else why they wait.</summary>
    public string? HeldBack(MembershipView members)
    {
        if (_open)
        {
            return null;
        }

        bool anyPeer = members.Members.Any(m => m.Id != members.Self && m.Status != MemberStatus.Left);
        bool aPeerAnswers = members.Members.Any(m => m.Id != members.Self && m.Status == MemberStatus.Alive);
        _peerSince = aPeerAnswers && gossip.Differing.IsEmpty ? _peerSince ?? time.GetTimestamp() : null;
        _open = !anyPeer
            || (_peerSince is { } since && time.GetElapsedTime(since) >= Settled)
            || time.GetElapsedTime(_started) >= Longest;
        return _open ? null : "the catalog has not been compared with a peer since the start";
    }
}
