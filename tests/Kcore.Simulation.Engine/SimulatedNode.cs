using System.Net;
using Kcore.Gossip;

namespace Kcore.Simulation.Engine;

/// <summary>
/// A host of the simulated cluster: an address, a disk, and while it runs a core. The identity is the disk's; a host
/// whose disk was replaced is somebody else to the others.
/// </summary>
public sealed class SimulatedNode
{
    private readonly SeedStream _identities;

    internal SimulatedNode(ulong seed, int index, IPEndPoint endpoint)
    {
        _identities = new SeedStream(seed, StreamPurpose.Identity, index);
        Index = index;
        Endpoint = endpoint;
        Disk = new SimulatedDisk(NewId());
    }

    public int Index { get; }

    public NodeId Id => Disk.Id;

    public IPEndPoint Endpoint { get; internal set; }

    public SimulatedDisk Disk { get; set; }

    public GossipCore? Core { get; private set; }

    public ulong BootNonce { get; private set; }

    /// <summary>Raised at each start and stop; events of an earlier life are void.</summary>
    public int Life { get; private set; }

    /// <summary>Time each input takes: a slow machine.</summary>
    public TimeSpan ServiceTime { get; set; }

    /// <summary>A host that is up refuses connections to a stopped process; one that is down says nothing.</summary>
    public bool HostIsUp { get; internal set; } = true;

    public TimeSpan StalledUntil { get; internal set; }

    /// <summary>When something last happened to this node that may make others wrong about it.</summary>
    public TimeSpan LastDisturbed { get; internal set; }

    public Traffic Sent { get; } = new();

    public Traffic Received { get; } = new();

    internal Queue<GossipInput> Backlog { get; } = new();

    /// <summary>Time of the timer event that counts; others in the calendar are void.</summary>
    internal long ArmedAt { get; set; } = long.MaxValue;

    internal bool WakePending { get; set; }

    /// <summary>Turns at one moment: a core that keeps asking for now would spin for ever.</summary>
    internal int TurnsNow { get; set; }

    internal TimeSpan LastTurn { get; set; }

    public NodeId NewId() => new((UInt128)_identities.NextUInt64() << 64 | _identities.NextUInt64());

    /// <summary>The same host with an empty disk: a new node at an old address.</summary>
    public void ReplaceDisk() => Disk = new SimulatedDisk(NewId());

    internal GossipCore Start(TimeSpan now, GossipOptions options, ulong seed)
    {
        Life++;
        Disk.Epoch++;
        BootNonce = (ulong)_identities.NextInt64();
        var self = new LocalMember(Id, Disk.Epoch, BootNonce, Endpoint, 7947, $"node-{Index}");
        Core = new GossipCore(options, self, Disk.Load(), new SeedStream(seed, StreamPurpose.Core, (Index << 12) + Life), now);
        Reset();
        HostIsUp = true;
        return Core;
    }

    internal void Stop(bool loseWriteBehind)
    {
        Core = null;
        Life++;
        if (loseWriteBehind)
        {
            Disk.LoseWriteBehind();
        }
        else
        {
            Disk.Sync();
        }

        Reset();
    }

    private void Reset()
    {
        Backlog.Clear();
        ArmedAt = long.MaxValue;
        WakePending = false;
        StalledUntil = TimeSpan.Zero;
        TurnsNow = 0;
    }
}
