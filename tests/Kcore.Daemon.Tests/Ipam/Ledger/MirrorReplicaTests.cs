using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Tests.Storage;
using Kcore.Gossip;
using Kcore.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Ipam.Ledger;

/// <summary>Several nodes that apply one log write one copy of it into their catalogs.</summary>
public sealed class MirrorReplicaTests : IDisposable
{
    private readonly TestDatabase _test = new();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public async Task However_a_replica_got_its_state_its_copy_has_the_same_bytes_and_versions(int seed)
    {
        var random = new Random(seed);
        var log = new List<(ulong Index, byte[] Command)>();
        ulong index = 1;
        Append(new ReplicatedCommand.Found(Commands.Cluster, 1));
        for (int i = 0; i < 120; i++)
        {
            // Gaps stand for entries that are no commands: a leader's first, a configuration.
            index += random.Next(5) == 0 ? 1u : 0;
            Append(Step(random));
        }

        await using var applied = new Replica(this);
        await using var restored = new Replica(this);
        await using var restarted = new Replica(this);
        await using var late = new Replica(this);
        applied.Open(0);
        restored.Open(0);
        late.Open(0);
        int snapshotAt = random.Next(10, 110);
        for (int i = 0; i < log.Count; i++)
        {
            applied.Apply(log[i]);
            late.Apply(log[i]);
            if (i < 5 || i > snapshotAt)
            {
                restored.Apply(log[i]);
            }

            if (i == snapshotAt)
            {
                // It fell behind after the fifth entry; the snapshot may end at an entry that is no command.
                restored.Restore(log[i].Index + (ulong)random.Next(2), applied.State.TakeSnapshot());
                restarted.Restore(log[i].Index, applied.State.TakeSnapshot());
            }

            if (i > snapshotAt)
            {
                restarted.Apply(log[i]);
            }
        }

        restarted.Open(log[^1].Index);
        string[] expected = await applied.CopyAsync();
        Assert.NotEmpty(expected);
        Assert.Equal(expected, await restored.CopyAsync());
        Assert.Equal(expected, await restarted.CopyAsync());
        Assert.Equal(expected, await late.CopyAsync());
        Assert.Equal(applied.Digest, restored.Digest);
        Assert.Equal(applied.Digest, restarted.Digest);

        void Append(ReplicatedCommand command) => log.Add((index++, CommandCodec.Encode(command)));
    }

    [Fact]
    public async Task A_copy_that_an_older_version_left_is_replaced_by_what_the_log_says()
    {
        await using var replica = new Replica(this);
        replica.Apply((1, CommandCodec.Encode(new ReplicatedCommand.Found(Commands.Cluster, 1))));
        replica.Apply((2, CommandCodec.Encode(Commands.Pool())));
        replica.Apply((3, CommandCodec.Encode(Commands.Allocate(1))));
        replica.Core.Handle(
            new GossipInput.PutCluster(0, 3, 1, [new LocalWrite("o" + new string('0', 32), 16, new byte[] { 0x80 }, Version: 3)]), TimeSpan.Zero, []);
        ulong left = replica.Digest;

        replica.Open(3);
        string[] copy = await replica.CopyAsync();

        Assert.NotEqual(left, replica.Digest);
        Assert.Equal(3, copy.Length);
        Assert.Contains(copy, line => line.StartsWith('l'));
    }

    [Fact]
    public void A_snapshot_of_the_version_without_dates_is_read_and_dated_alike_everywhere()
    {
        // Version, cluster, epoch, dissolved, used, one node, none removed, no pool, none deleted, no lease, none retired.
        byte[] undated =
        [
            1, .. Commands.Cluster.ToByteArray(bigEndian: true), 1, 0, 0, 0, .. new byte[16], 0,
            1, 0, 0, 0, .. Commands.Id(7).ToByteArray(bigEndian: true), .. Commands.Id(8).ToByteArray(bigEndian: true), 1, 0, 0, 0, (byte)'a', 5, 0, 0, 0, 0, 0, 0, 0,
            .. new byte[4], .. new byte[4], .. new byte[4], .. new byte[4], .. new byte[4],
        ];
        var state = new ReplicatedState();
        state.Restore(undated);

        Assert.Equal(0ul, state.AppliedIndex);
        Assert.Equal("a", Assert.Single(state.Nodes).Name);
        var again = new ReplicatedState();
        again.Restore(state.TakeSnapshot());
        Assert.True(state.StateHash().SequenceEqual(again.StateHash()));
    }

    public void Dispose() => _test.Dispose();

    private static ReplicatedCommand Step(Random random)
    {
        uint network = (uint)random.Next(1, 4), attachment = (uint)random.Next(1, 30);
        return random.Next(14) switch
        {
            0 => Commands.Pool(network, $"n{network}", 14000 + network, $"10.{network}.0.1", $"10.{network}.0.0/27") with { Reserve = 3 },
            10 or 11 => new ReplicatedCommand.GrantReserve(new NetworkUid(Commands.Id(network)), Commands.Id(attachment), Commands.Id(attachment + 100), Guid.Empty),
            12 => new ReplicatedCommand.UseReserve(
                new AttachmentId(Commands.Id(attachment)), new NetworkUid(Commands.Id(network)), "nic", Commands.Mac(attachment), Commands.Id((uint)random.Next(1, 30)),
                System.Net.IPAddress.Parse($"10.{network}.0.{random.Next(20, 31)}"), (ulong)random.Next(1, 200)),
            13 => new ReplicatedCommand.ReturnReserve(
                new NetworkUid(Commands.Id(network)), Commands.Id((uint)random.Next(1, 30)), System.Net.IPAddress.Parse($"10.{network}.0.{random.Next(20, 31)}"), (ulong)random.Next(1, 200), random.Next(2) == 0),
            1 => new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(network))),
            2 => new ReplicatedCommand.NodeAdd(new Kcore.Raft.MemberId(Commands.Id(attachment), Commands.Id(network)), $"node-{attachment}"),
            3 => new ReplicatedCommand.NodeRemove(Commands.Id(attachment), ReleaseLeases: true),
            4 or 5 => Commands.Release(attachment),
            _ => Commands.Allocate(attachment, network),
        };
    }

    // A state machine, its mirror and the gossip core that keeps the copy, as one node has them.
    private sealed class Replica : IAsyncDisposable
    {
        private readonly LedgerMirror _mirror;
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;
        private readonly SteppedTime _time = new();
        private int _putWholes;
        private ulong _putTo;
        private int _wholes;
        private ulong _to;

        public Replica(MirrorReplicaTests test)
        {
            Core = new GossipCore(
                new GossipOptions(),
                new LocalMember(new NodeId(1), 1, 1, new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 1), 1, "node"),
                new CatalogState(),
                new Random(1),
                TimeSpan.Zero);
            _mirror = new LedgerMirror(State, 1, new EventLog(test._test.Database, _time, "node", NullLogger.Instance), _time, PutAsync);
            _running = _mirror.RunAsync(_stop.Token);
        }

        public ReplicatedState State { get; } = new();

        public GossipCore Core { get; }

        public ulong Digest => Core.CatalogDigest;

        private bool IsOpen { get; set; }

        public void Open(ulong index)
        {
            NoteWhole(State.ClusterId != Guid.Empty);
            IsOpen = true;
            _mirror.Opened(index);
        }

        public void Apply((ulong Index, byte[] Command) entry)
        {
            ApplyOutcome<ReplicatedResult, ReplicatedChange> outcome = State.Apply(entry.Index, entry.Command);
            if (IsOpen && _to == 0)
            {
                NoteWhole(true);
            }

            _to = IsOpen ? entry.Index : _to;
            _mirror.Applied(entry.Index, outcome.Result, outcome.Changes);
        }

        public void Restore(ulong index, byte[] snapshot)
        {
            State.Restore(snapshot);
            NoteWhole(IsOpen);
            _mirror.Restored(index, State.EnumerateAll());
        }

        /// <summary>Every visible entry with its version and bytes, once the mirror has told everything.</summary>
        public async Task<string[]> CopyAsync()
        {
            await Until.SeenAsync(TimeSpan.FromSeconds(20), "the mirror told everything", () =>
            {
                _time.Advance(TimeSpan.FromMilliseconds(25));
                bool isAll = Volatile.Read(ref _putWholes) == _wholes && Volatile.Read(ref _putTo) == _to;
                return Task.FromResult(isAll ? null : $"{_putWholes} of {_wholes}, up to {_putTo} of {_to}");
            });
            OriginState origin = Core.Catalog.Find(NodeId.Raft)!;
            return [.. origin.Entries.Where(e => !e.IsTombstone).Select(e => $"{e.Key} {e.Version} {Convert.ToHexString(e.Raw.Span)}").Order(StringComparer.Ordinal), $"version {origin.Version}"];
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _running);
            _stop.Dispose();
        }

        private void NoteWhole(bool isTold)
        {
            _wholes += isTold ? 1 : 0;
            _to = isTold ? State.AppliedIndex : _to;
        }

        private Task PutAsync(GossipInput.PutCluster put, CancellationToken token)
        {
            Core.Handle(put, TimeSpan.Zero, []);
            _putWholes += put.FromIndex == 0 ? 1 : 0;
            Volatile.Write(ref _putTo, put.ToIndex);
            return Task.CompletedTask;
        }
    }
}
