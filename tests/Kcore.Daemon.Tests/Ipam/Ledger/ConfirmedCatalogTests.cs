using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Kcore.Contracts;
using Kcore.Daemon.Api;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Tests.Catalog;
using Kcore.Gossip.Wire.Sealing;
using Kcore.Raft;
using Kcore.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Ipam.Ledger;

/// <summary>Reads of the catalog that miss nothing, on a node alone with its real loops, log and database.</summary>
public sealed class ConfirmedCatalogTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly LoneNode _node = new();

    private ConsensusLoop<ReplicatedResult, ReplicatedChange> Log => _node.Ledger.Open!.Loop;

    public Task InitializeAsync() => Task.CompletedTask;

    [Fact]
    public async Task P23_what_was_committed_a_moment_ago_is_in_the_answer()
    {
        await _node.StartAsync();
        await DoAsync(Commands.Pool());
        for (uint i = 1; i <= 30; i++)
        {
            await DoAsync(Commands.Allocate(i));
            ulong index = await AppliedAsync();
            ConfirmedView view = await _node.Confirmed.ReadAsync(Patience, default);
            Assert.Null(view.Doubt);
            Assert.Equal(i, (uint)view.Snapshot.View.Leases.Count);
            Assert.Equal(index, view.LogIndex);
        }
    }

    [Fact]
    public async Task What_changes_nothing_does_not_keep_a_reader_waiting()
    {
        await _node.StartAsync();
        await DoAsync(Commands.Pool());
        Assert.IsType<ReplicatedResult.Refused>(await Log.ProposeAsync(CommandCodec.Encode(Commands.Release(77)), default));
        Assert.IsType<ReplicatedResult.Refused>(await Log.ProposeAsync(new byte[] { 1, 1 }, default));

        // An entry that is no command at all.
        Assert.Equal(ProposeOutcome.Appended, await Log.ReconfigureAsync(Configuration.Of([Log.Status.Self], learners: [Nobody]), default));
        await Until.SeenAsync(Patience, "it is committed", () => Task.FromResult(Log.Status is { IsJoint: false, Learners.Length: 1 } s && s.CommitIndex == s.LastIndex ? null : "not yet"));
        Assert.Null((await _node.Confirmed.ReadAsync(Patience, default)).Doubt);
    }

    [Fact]
    public async Task Without_a_quorum_what_is_known_is_answered_in_time_and_said_to_be_doubtful()
    {
        await _node.StartAsync();
        await DoAsync(Commands.Pool());
        await DoAsync(Commands.Allocate(1));
        ConfirmedView before = await _node.Confirmed.ReadAsync(Patience, default);
        await LoseQuorumAsync();

        // At first this node still takes itself for the leader.
        ConfirmedView stale = await _node.Confirmed.ReadAsync(TimeSpan.FromMilliseconds(300), default);
        Assert.Contains("no quorum of the voters confirmed it within 0.3 s", stale.Doubt, StringComparison.Ordinal);
        Assert.Single(stale.Snapshot.View.Leases);
        Assert.Equal(before.LogIndex, stale.LogIndex);

        await Until.SeenAsync(Patience, "it steps down", () => Task.FromResult(Log.Status.Role == RaftRole.Leader ? "it leads" : null));
        Assert.NotNull((await _node.Confirmed.ReadAsync(TimeSpan.FromMilliseconds(300), default)).Doubt);

        using var gone = new CancellationTokenSource();
        Task<ConfirmedView> given = _node.Confirmed.ReadAsync(Patience, gone.Token);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);
    }

    [Fact]
    public async Task A_node_in_no_cluster_says_so_at_once()
    {
        ConfirmedView view = await _node.Confirmed.ReadAsync(Patience, default);
        Assert.Equal(("this node is in no cluster yet", 0UL), (view.Doubt, view.LogIndex));
    }

    [Fact]
    public async Task Only_what_the_log_decides_is_confirmed_and_who_wants_no_confirmation_gets_none()
    {
        await _node.StartAsync();
        using (NetworkService networks = _node.Networks(vxlanDisabled: false))
        {
            await networks.CreateAsync(new CreateNetworkRequest { Name = "prod", Type = "vxlan", GatewayIp = "10.88.0.1" }, default);
            await networks.CreateAsync(new CreateNetworkRequest { Name = "lan", Type = "nat", GatewayIp = "10.77.0.1" }, default);
        }

        var answers = new AddressAnswers(_node.Catalog, _node.Confirmed, _node.Self);
        Assert.Equal(ErrorCode.Unavailable, (await Assert.ThrowsAsync<RefusedException>(() => answers.AnswerAsync("prod", false, default))).Problem.Code);
        Guid uid = Uid.ToGuid(_node.Catalog.Current.Current.View.Copies("prod")[0].Uid);
        await DoAsync(new ReplicatedCommand.CreatePool(new NetworkUid(uid), "prod", 14416, IPNetwork.Parse("10.88.0.0/24"), IPAddress.Parse("10.88.0.1"), []));

        // Nothing lies between the pool and the question.
        NetworkAddresses confirmed = await answers.AnswerAsync("prod", false, default);
        Assert.Equal((true, null, "10.88.0.2"), (confirmed.Confirmed, confirmed.Unconfirmed, confirmed.Next));
        Assert.Equal(await AppliedAsync(), confirmed.LogIndex);
        NetworkAddresses known = await answers.AnswerAsync("prod", true, default);
        Assert.Equal((false, true), (known.Confirmed, known.Unconfirmed is { Length: > 0 }));
        NetworkAddresses local = await answers.AnswerAsync("lan", false, default);
        Assert.Equal((null, null, null), (local.Confirmed, local.Unconfirmed, local.LogIndex));
        Assert.Equal(ErrorCode.NotFound, (await Assert.ThrowsAsync<RefusedException>(() => answers.AnswerAsync("none", false, default))).Problem.Code);
        Assert.Equal(ErrorCode.InvalidArgument, (await Assert.ThrowsAsync<RefusedException>(() => answers.AnswerAsync(" ", false, default))).Problem.Code);
    }

    [Fact]
    public async Task Who_has_no_log_is_told_by_the_leader_how_far_it_is_and_by_nobody_else()
    {
        await _node.StartAsync();
        await DoAsync(Commands.Pool());
        using var stop = new CancellationTokenSource();
        var endpoint = new IPEndPoint(IPAddress.Loopback, FreePort());
        using var ring = new KeyRing(new ClusterSecret([.. Enumerable.Repeat((byte)1, ClusterSecret.Size)]));
        using var serving = new ClusterTls(ring, _node.Self.Id.Value, TimeProvider.System);
        using var asking = new ClusterTls(ring, 0xB, TimeProvider.System);
        var streams = new LedgerStreams(_node.Ledger, TimeProvider.System);
        Task listening = new PeerListener(endpoint, serving, new Dictionary<StreamKind, StreamHandler>(), TimeProvider.System, NullLogger.Instance, new Dictionary<StreamKind, SessionHandler>
        {
            [StreamKind.Propose] = streams.HandleProposalsAsync,
            [StreamKind.Read] = streams.HandleReadsAsync,
        }).RunAsync(stop.Token);
        await using (var lane = new ProposalLane(await new PeerConnector(asking, TimeProvider.System).OpenAsync(endpoint, _node.Self.Id, TimeSpan.FromSeconds(2), default)))
        {
            ClusterRef here = _node.Cluster.State.Current.Cluster!.Value;
            LedgerReply read = await lane.AskAsync(new LedgerRequest(here, default), default, StreamKind.Read).WaitAsync(Patience);
            Assert.Null(read.Failure);
            ulong before = BinaryPrimitives.ReadUInt64BigEndian(read.Result.Span);
            Assert.Equal(await AppliedAsync(), before);

            // A read writes nothing, and goes on one stream with what does.
            Assert.Null((await lane.AskAsync(new LedgerRequest(here, CommandCodec.Encode(Commands.Allocate(1))), default).WaitAsync(Patience)).Failure);
            read = await lane.AskAsync(new LedgerRequest(here, default), default, StreamKind.Read).WaitAsync(Patience);
            Assert.Equal(before + 1, BinaryPrimitives.ReadUInt64BigEndian(read.Result.Span));

            LedgerReply other = await lane.AskAsync(new LedgerRequest(here with { Epoch = here.Epoch + 1 }, default), default, StreamKind.Read).WaitAsync(Patience);
            Assert.Equal(ProposeFailure.Stopped, other.Failure);
            await LoseQuorumAsync();
            LedgerReply stale = await lane.AskAsync(new LedgerRequest(here, default), default, StreamKind.Read).WaitAsync(Patience);
            Assert.Contains(stale.Failure, (ProposeFailure?[])[ProposeFailure.NotLeader, ProposeFailure.Unavailable]);
        }

        await stop.CancelAsync();
        await listening.WaitAsync(Patience);
    }

    public async Task DisposeAsync() => await _node.DisposeAsync();

    private static MemberId Nobody => new(Commands.Id(40), Commands.Id(41));

    private async Task DoAsync(ReplicatedCommand command) =>
        Assert.IsNotType<ReplicatedResult.Refused>(await Log.ProposeAsync(CommandCodec.Encode(command), default));

    // The published status follows a moment after the answer.
    private Task<ulong> AppliedAsync() => Log.ReadAsync(() => _node.Ledger.Open!.State.AppliedIndex, default);

    // A second voter that does not exist.
    private async Task LoseQuorumAsync()
    {
        ProposeOutcome outcome = await Log.ReconfigureAsync(Configuration.Of([Log.Status.Self, Nobody]), default);
        Assert.Equal(ProposeOutcome.Appended, outcome);
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
