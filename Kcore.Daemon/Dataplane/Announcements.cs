using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink.Packet;

namespace Kcore.Daemon.Dataplane;

/// <summary>Where a MAC, and the address that is its, are from now on: told to everybody on a bridge.</summary>
/// <param name="Address">Null when others gave it one: then only switches learn.</param>
internal sealed record Announcement(string Bridge, PhysicalAddress Mac, IPAddress? Address)
{
    public byte[] Frame() => Address is null ? ArpFrame.Reverse(Mac) : ArpFrame.Gratuitous(Mac, Address);
}

/// <summary>What is worth an announcement. Pure.</summary>
internal static class Announcements
{
    /// <summary>
    /// A NIC that came to this node, its device or its hand-over: physical switches behind the bridge, and guests that knew its address elsewhere, learn
    /// at once. An address that moved to another MAC on another node: the guests here do. Neither crosses the tunnel: its
    /// port suppresses gratuitous ARP, and each node tells its own guests.
    /// </summary>
    public static IEnumerable<Announcement> After(IEnumerable<DataplaneStep> made, DataplaneIntent intent)
    {
        HashSet<string> arrived = new(StringComparer.Ordinal);
        HashSet<Announcement> told = [];
        foreach (DataplaneStep step in made)
        {
            if (step is DataplaneStep.SetNeighbour { OldMac: not null } moved)
            {
                told.Add(new Announcement(moved.Neighbour.Device, moved.Neighbour.Mac, V4(moved.Neighbour.Address)));
            }
            else if (step is DataplaneStep.CreateLink or DataplaneStep.ChangeLink { From: null } or DataplaneStep.SetBridgeEntry && step.Origin.Nic is not null)
            {
                arrived.Add(step.Device);
            }
        }

        foreach ((string bridge, LocalNicIntent nic, bool isPhysical) in intent.Overlays.SelectMany(o => o.LocalNics.Select(n => (o.Bridge, n, false)))
            .Concat(intent.Locals.SelectMany(l => l.LocalNics.Select(n => (l.Bridge, n, l.Nat is null)))))
        {
            // What waits to be handed over is announced by the node that has it.
            if (!arrived.Contains(nic.Device) || nic.Arriving)
            {
                continue;
            }

            told.Add(new Announcement(bridge, nic.Mac, V4(nic.Address)));
            if (isPhysical)
            {
                // Some switches keep ARP from those they need not ask; RARP they flood, as hypervisors rely on.
                told.Add(new Announcement(bridge, nic.Mac, null));
            }
        }

        return told;
    }

    private static IPAddress? V4(IPAddress? address) => address is { AddressFamily: AddressFamily.InterNetwork } ? address : null;
}

/// <summary>
/// Announcements that wait: each goes out twice, two seconds apart (RFC 5227, 2.3), and together they are no more than a
/// hundred frames a second, so that a host that starts with thousands of guests raises no storm. Pure: time comes in.
/// </summary>
internal sealed class AnnouncementQueue
{
    public const int WaitingMax = 8192;

    private const int FramesAtOnce = 20;
    private static readonly TimeSpan _again = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(200);

    private readonly PriorityQueue<(Announcement Announcement, bool Last), TimeSpan> _waiting = new();
    private readonly HashSet<Announcement> _known = [];
    private TimeSpan _notBefore;

    /// <summary>When something is due; null when nothing waits.</summary>
    public TimeSpan? Next => _waiting.TryPeek(out _, out TimeSpan at) ? (at > _notBefore ? at : _notBefore) : null;

    /// <summary>One that waits already is not added again; beyond the limit they are dropped, guests speak for themselves.</summary>
    public void Add(IEnumerable<Announcement> announcements, TimeSpan now)
    {
        foreach (Announcement announcement in announcements)
        {
            if (_known.Count < WaitingMax && _known.Add(announcement))
            {
                _waiting.Enqueue((announcement, false), now);
            }
        }
    }

    public ImmutableArray<Announcement> Due(TimeSpan now)
    {
        if (now < _notBefore)
        {
            return [];
        }

        ImmutableArray<Announcement>.Builder due = ImmutableArray.CreateBuilder<Announcement>();
        while (due.Count < FramesAtOnce && _waiting.TryPeek(out (Announcement Announcement, bool Last) item, out TimeSpan at) && at <= now)
        {
            _waiting.Dequeue();
            due.Add(item.Announcement);
            if (item.Last)
            {
                _known.Remove(item.Announcement);
            }
            else
            {
                _waiting.Enqueue((item.Announcement, true), now + _again);
            }
        }

        _notBefore = due.Count == FramesAtOnce ? now + _pause : _notBefore;
        return due.ToImmutable();
    }
}
