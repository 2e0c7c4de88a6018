using Kcore.Daemon.Ipam;
using Kcore.Raft;
using Kcore.TestKit.Disks;
using Kcore.TestKit.Histories;

namespace Kcore.Simulation.Raft;

/// <summary>What one run did, so that a test can tell that something was tested.</summary>
internal sealed record RunSummary(ulong Committed, int Leaders, int Recoveries, int Faults, int Changes, int Transfers, int Answered, int Comparisons, int Reused, int Helped, int Lost, int Moved, long Events);

/// <summary>One life of a group from founding to calm.</summary>
internal static class GroupRun
{
    private const long Second = 1_000_000;

    // Five election time-outs, each of at most two seconds, and a little for the tick to come.
    private const long LeaderBound = 11 * Second;
    private const long CalmBound = 60 * Second;

    /// <summary>Faults drawn from the seed, for a while; then calm, in which everything must come to an end.</summary>
    /// <param name="seed">Repeats the life.</param>
    /// <param name="size">Members.</param>
    /// <param name="faultMicros">How long things go wrong.</param>
    /// <param name="prepare">Does something to each member before it starts.</param>
    /// <param name="upkeep">Clients that do with a network whose addresses are given again all that can be done.</param>
    /// <param name="moves">Clients that move NICs from host to host.</param>
    /// <param name="reserve">Clients that take addresses from the emergency reserves of their hosts without asking.</param>
    public static RunSummary WithFaults(int seed, int size, long faultMicros, Action<SimulatedMember>? prepare = null, int upkeep = 0, int reserve = 0, int moves = 0)
    {
        var profile = new GroupProfile { Size = size };
        var group = new SimulatedGroup(seed, profile with
        {
            SnapshotEvery = 4 + (seed % 3 * 10),
            KeptBehindSnapshot = seed % 4 * 3,
        });
        Array.ForEach(group.Members, member => prepare?.Invoke(member));
        var operation = new Operator(group);
        var clients = new ScriptedClients(group) { Budget = 250, ThinkMicros = 250_000, AbandonedPerMille = seed % 2 * 30 };
        group.Start();
        operation.Start();
        clients.Start(size + 2);
        if (upkeep > 0)
        {
            clients.UpkeepBudget = 250;
            clients.StartUpkeep(upkeep);
        }

        if (reserve > 0)
        {
            clients.ReserveBudget = 250;
            clients.StartReserve(reserve, seed % 2 == 0);
        }

        if (moves > 0)
        {
            clients.MoveBudget = 400;
            clients.StartMoves(moves);
        }

        group.Clock.RunUntil(3 * Second);
        var faults = new FaultMenu(group);
        faults.Start();
        operation.IsCalm = seed % 3 == 0;
        group.Clock.RunUntil(group.Clock.Now + faultMicros);
        faults.End();
        operation.IsCalm = true;
        clients.Budget = 0;
        clients.UpkeepBudget = 0;
        clients.ReserveBudget = 0;
        clients.MoveBudget = 0;
        CalmDown(group, clients);
        return new RunSummary(
            group.Record.CommittedMax, group.Record.LeaderCount, group.Recoveries, faults.Count, operation.Changes, operation.Transfers, clients.Answered, clients.Comparisons, clients.ReusedCount, clients.Helped, clients.Lost, clients.Moved, group.Clock.Events);
    }

    /// <summary>A short life in which nothing goes wrong except, if told, one power cut.</summary>
    /// <returns>The disk operations of every member.</returns>
    public static int[] WithCut(int size, int cutMember, int cutAt, bool isCutAfter, Survivors survivors)
    {
        var group = new SimulatedGroup(17, new GroupProfile { Size = size, SegmentBytes = 2048, SnapshotEvery = 8, KeptBehindSnapshot = 2 })
        {
            SurvivorsOfCut = survivors,
        };
        if (cutMember > 0)
        {
            group.Members[cutMember - 1].Disk.PowerCutAt = cutAt;
            group.Members[cutMember - 1].Disk.IsCutAfter = isCutAfter;
        }

        var operation = new Operator(group) { EveryMicros = 150_000 };
        var clients = new ScriptedClients(group) { Budget = 16, ThinkMicros = 20_000 };
        group.Start();
        operation.Start();
        clients.Start(2);
        group.Clock.RunUntil(2 * Second);
        CalmDown(group, clients);
        return [.. group.Members.Select(member => member.Disk.Operations)];
    }

    private static void CalmDown(SimulatedGroup group, ScriptedClients clients)
    {
        if (!group.Clock.RunUntil(group.Clock.Now + LeaderBound, () => group.Leader?.Life!.Node.HasCommittedInTerm == true))
        {
            throw new InvariantException($"Liveness: no leader within {LeaderBound / Second} s of calm: {Describe(group)}");
        }

        if (!group.Clock.RunUntil(group.Clock.Now + CalmBound, () => clients.Waiting == 0 && clients.Budget <= 0 && IsSettled(group)))
        {
            throw new InvariantException($"Liveness: {clients.Waiting} clients wait after {CalmBound / Second} s of calm: {Describe(group)}");
        }

        ReplicatedState replayed = group.Record.Replay(group.Members[0].Life!.Applied);
        foreach (SimulatedMember member in group.Members)
        {
            if (member.Life!.State.Comparison is { IsEqual: false } comparison)
            {
                throw new InvariantException($"P24: {member.Id} computed another state at {comparison.Index} than the leader.");
            }

            if (!member.Life.State.TakeSnapshot().AsSpan().SequenceEqual(replayed.TakeSnapshot()))
            {
                throw new InvariantException($"I-11: the state of {member.Id} is not what the log leads to.");
            }
        }

        // A-6: what the pools call used is what is held.
        NetworkUid[] networks =
        [
            .. clients.History.Concat(clients.Reuses).Select(operation => new NetworkUid(Guid.ParseExact(operation.Network, "N"))).Append(ScriptedClients.Reserving).Append(ScriptedClients.Moving).Distinct(),
        ];
        long used = networks.Sum(network => replayed.Statistics(network)?.Used ?? 0);
        if (used != group.Record.Held.Count)
        {
            throw new InvariantException($"A-6: {used} addresses are used and {group.Record.Held.Count} are held.");
        }

        // A-13: a NIC has one owner, and it is the node that it was handed over to last.
        foreach (AttachmentId attachment in group.Record.Held)
        {
            if (!replayed.TryGetLease(attachment, out ReplicatedChange.LeasePut? lease) || lease.NodeUid != group.Record.NodeOf(attachment))
            {
                throw new InvariantException($"A-13: {attachment} is on {lease?.NodeUid}; it was handed over to {group.Record.NodeOf(attachment)}.");
            }
        }

        foreach (NetworkUid network in networks)
        {
            (long free, long parked) = group.Record.Count(network);
            if (replayed.Statistics(network) is { } pool && (pool.Free != free || pool.Parked != parked || pool.Free + pool.Parked + pool.Used > pool.Size))
            {
                throw new InvariantException($"A-6: of {pool.Size} addresses {pool.Free} are called free and {pool.Parked} parked; {free} and {parked} are, {pool.Used} are used.");
            }
        }

        if (clients.Unreported is { } unreported)
        {
            throw new InvariantException($"A-7: {unreported} has an address of its host's reserve and no lease.");
        }

        AttachmentId leaked = clients.GivenUp.FirstOrDefault(attachment => replayed.TryGetLease(attachment, out _));
        if (leaked != default)
        {
            throw new InvariantException($"Leak: {leaked} was released and holds an address.");
        }

        string? violation = IntervalChecker.FindViolations(clients.History, ScriptedClients.OrderOf).FirstOrDefault()
            ?? IntervalChecker.FindViolations(clients.Reuses, _ => [], isReuseAllowed: true).FirstOrDefault()
            ?? LinearizabilityChecker.FindViolation(clients.History, ScriptedClients.OrderOf);
        if (violation is not null)
        {
            throw new InvariantException(violation);
        }
    }

    // Everybody votes, and has applied everything.
    private static bool IsSettled(SimulatedGroup group) =>
        group.Leader?.Life is { Node: var leader }
        && leader.IsConfigurationCommitted
        && leader.Configuration.Equals(Configuration.Of(group.Members.Select(member => member.Id)))
        && leader.CommitIndex == leader.LastIndex
        && group.Members.All(member => member.Life?.Applied == leader.CommitIndex);

    private static string Describe(SimulatedGroup group) => string.Join("; ", group.Members.Select(member => member.Life is { Node: var node } life
        ? $"{member.Number}: {node.Role} term {node.Term} last {node.LastIndex} commit {node.CommitIndex} applied {life.Applied} fault {node.Fault} stalled {node.IsStorageStalled} voters {node.Configuration.Voters.Length}+{node.Configuration.OldVoters.Length} {(node.Configuration.IsVoter(node.Self) ? "votes" : "")} configuration {node.ConfigurationIndex} {string.Join(',', node.Peers.Select(peer => $"{peer.State}@{peer.Match}"))}"
        : $"{member.Number}: down{(member.IsDiskLost ? ", disk lost" : "")}"));
}
