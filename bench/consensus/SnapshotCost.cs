using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;

namespace Kcore.Bench.Consensus;

/// <summary>
/// A snapshot of a pool with many leases, with the daemon's own code in this process: taken and stored durably on one
/// side, stored durably and restored on the other. What the network adds is its size over the link's rate.
/// </summary>
internal static class SnapshotCost
{
    public static (double Take, double Install, int Bytes) Measure(string directory, int leases)
    {
        ReplicatedState leader = Filled(leases, out ulong index);
        var identity = new StoreIdentity(Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), 1, "bench");
        var self = new MemberId(identity.NodeUid, identity.StoreId);
        string here = Path.Combine(directory, "snapshot-from"), there = Path.Combine(directory, "snapshot-to");
        RaftStore.Found(new PosixFileLayer(here), identity, CommandCodec.Encode(new ReplicatedCommand.Found(identity.ClusterId, 1)));
        RaftStore.Join(new PosixFileLayer(there), identity with { StoreId = Guid.NewGuid() });
        try
        {
            using RaftStore from = RaftStore.Open(new PosixFileLayer(here));
            using RaftStore to = RaftStore.Open(new PosixFileLayer(there));
            long begun = Stopwatch.GetTimestamp();
            var snapshot = new RaftSnapshot(index, 1, Configuration.Of([self]), 2, leader.TakeSnapshot());
            from.SaveSnapshot(snapshot, 1);
            double take = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;

            begun = Stopwatch.GetTimestamp();
            to.Write(new StorageBatch(1, new HardState(1, MemberId.None, index), [], snapshot));
            var follower = new ReplicatedState();
            follower.Restore(snapshot.Data);
            double install = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            return follower.TakeSnapshot().AsSpan().SequenceEqual(snapshot.Data.Span)
                ? (take, install, snapshot.Data.Length)
                : throw new InvalidOperationException("the installed state is another one");
        }
        finally
        {
            Directory.Delete(here, recursive: true);
            Directory.Delete(there, recursive: true);
        }
    }

    private static ReplicatedState Filled(int leases, out ulong index)
    {
        var state = new ReplicatedState();
        var network = new NetworkUid(Guid.NewGuid());
        Guid node = Guid.NewGuid();
        ulong at = 0;
        Apply(new ReplicatedCommand.Found(Guid.NewGuid(), 1));
        Apply(new ReplicatedCommand.CreatePool(network, "crowd", 7, IPNetwork.Parse("10.128.0.0/12"), IPAddress.Parse("10.128.0.1"), []));
        for (int i = 0; i < leases; i++)
        {
            byte[] mac = [2, 0, 0, (byte)(i >> 16), (byte)(i >> 8), (byte)i];
            Apply(new ReplicatedCommand.Allocate(new AttachmentId(Guid.NewGuid()), network, $"nic-{i}", new PhysicalAddress(mac), node, null));
        }

        index = at;
        return state;

        void Apply(ReplicatedCommand command)
        {
            if (state.Apply(++at, CommandCodec.Encode(command)).Result is ReplicatedResult.Refused refused)
            {
                throw new InvalidOperationException(refused.Text);
            }
        }
    }
}
