using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Daemon.Tests.Ipam;
using Kcore.Raft;
using Kcore.TestKit.Disks;

namespace Kcore.Daemon.Tests.Storage;

/// <summary>A store that goes on alone in another epoch, and loses power at every disk operation of that.</summary>
public sealed class StoreEpochTests
{
    private const int SegmentBytes = 2048;
    private static readonly StoreIdentity Identity = new(Commands.Id(1), Commands.Id(2), Commands.Cluster, 1, "machine");
    private static readonly MemberId Other = new(Commands.Id(3), Commands.Id(4));
    private static readonly byte[] Command = CommandCodec.Encode(new ReplicatedCommand.Recover(2));

    [Fact]
    public void It_keeps_all_it_holds_and_leads_itself()
    {
        MemoryFileLayer files = Voter();
        RaftStore.Recover(files, 2, Command, SegmentBytes);
        Assert.Throws<InvalidOperationException>(() => RaftStore.Recover(files, 2, Command, SegmentBytes));
        using RaftStore store = RaftStore.Open(files, SegmentBytes);
        Assert.Equal(Identity with { Epoch = 2 }, store.Identity);
        Assert.Equal(Enumerable.Range(1, 6).Select(i => (ulong)i), store.InitialState.Entries.Select(e => e.Index));
        Assert.Equal((5UL, 5UL), (store.InitialState.HardState.Term, store.InitialState.Entries[^1].Term));

        var node = new RaftNode(new RaftOptions(), store.Member, store.InitialState, new Random(1));
        for (int tick = 0; tick < 100 && node.Role != RaftRole.Leader; tick++)
        {
            node.Tick();
            Ready ready = node.TakeReady();
            if (ready.Batch is { } batch)
            {
                node.StorageAck(batch.Id);
            }
        }

        Assert.Equal(RaftRole.Leader, node.Role);
        Assert.Equal(2u, node.Group.Epoch);
    }

    [Fact]
    public void Cut_at_any_disk_operation_it_decides_alone_only_in_the_new_epoch_and_can_be_done_again()
    {
        MemoryFileLayer uncut = Voter();
        int before = uncut.Operations;
        RaftStore.Recover(uncut, 2, Command, SegmentBytes);
        Assert.True(uncut.Operations > before + 4);
        for (int at = before + 1; at <= uncut.Operations; at++)
        {
            foreach (Survivors survivors in Enum.GetValues<Survivors>())
            {
                MemoryFileLayer files = Voter();
                files.PowerCutAt = at;
                try
                {
                    RaftStore.Recover(files, 2, Command, SegmentBytes);
                }
                catch (PowerCutException)
                {
                    // As wanted.
                }

                MemoryFileLayer booted = files.AfterPowerCut(survivors, new Random(at));
                uint epoch;
                using (RaftStore store = RaftStore.Open(booted, SegmentBytes))
                {
                    epoch = store.Identity.Epoch;
                    bool isAlone = !Voters(store).Contains(Other);
                    Assert.False(isAlone && epoch == 1, $"cut at {at}, {survivors}: alone in the old epoch");
                    Assert.True(store.InitialState.Entries.Count >= 4, $"cut at {at}, {survivors}: entries are lost");
                }

                RaftStore.Recover(booted, epoch + 1, Command, SegmentBytes);
                using RaftStore again = RaftStore.Open(booted, SegmentBytes);
                Assert.Equal(epoch + 1, again.Identity.Epoch);
                Assert.DoesNotContain(Other, Voters(again));
            }
        }
    }

    private static IEnumerable<MemberId> Voters(RaftStore store)
    {
        RaftEntry newest = store.InitialState.Entries.Last(e => e.Kind == RaftEntryKind.Configuration);
        Assert.True(ConfigurationCodec.TryDecode(newest.Data.Span, out Configuration? configuration));
        return configuration.Voters;
    }

    private static MemoryFileLayer Voter()
    {
        var files = new MemoryFileLayer();
        RaftStore.Found(files, Identity, CommandCodec.Encode(new ReplicatedCommand.Found(Commands.Cluster, 1)), SegmentBytes);
        using RaftStore store = RaftStore.Open(files, SegmentBytes);
        var both = Configuration.Of([store.Member, Other]);
        store.Write(new StorageBatch(
            1,
            new HardState(4, MemberId.None, 3),
            [
                new RaftEntry(3, 4, RaftEntryKind.Configuration, ConfigurationCodec.Encode(both)),
                new RaftEntry(4, 4, RaftEntryKind.Command, CommandCodec.Encode(Commands.Pool())),
            ],
            null));
        return files;
    }
}
