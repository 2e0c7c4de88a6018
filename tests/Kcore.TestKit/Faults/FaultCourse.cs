using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using Kcore.Contracts;
using Kcore.TestKit.Histories;
using Kcore.TestKit.Lan;

namespace Kcore.TestKit.Faults;

/// <summary>What one phase of a course found.</summary>
/// <param name="Operations">Attaches and detaches that clients asked for.</param>
/// <param name="Granted">Attaches that were answered with an address, at once or later.</param>
/// <param name="Late">Attaches whose outcome was learnt only after the faults.</param>
/// <param name="Released">Detaches of which it is known that the log has ended the lease.</param>
/// <param name="Violations">Empty when all is as it must be.</param>
public sealed record PhaseReport(int Operations, int Granted, int Late, int Released, ImmutableArray<string> Violations);

/// <summary>What became of a voter that did not come back.</summary>
/// <param name="Gone">Who.</param>
/// <param name="Successor">Who votes in its place.</param>
/// <param name="After">From its end to the new set of voters.</param>
/// <param name="Phases">What clients did meanwhile and when it had come back, an entry for each phase.</param>
public sealed record SwapReport(string Gone, string Successor, TimeSpan After, ImmutableArray<PhaseReport> Phases);

/// <summary>
/// Clients attach and detach NICs on real daemons while faults happen to these. Each phase has a network of its own; at
/// its end, when everything is well again, the history of what clients were told goes through both checkers, and what all
/// hosts hold is compared with what the log holds.
/// </summary>
public sealed class FaultCourse(NodeLan lan, IReadOnlyList<SmallDisk> disks, Random random, Action<string> say) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan CallPatience = TimeSpan.FromSeconds(30);

    // A detach is answered when the log has ended the lease, and without a quorum after three seconds all the same.
    private static readonly TimeSpan ReleasedBefore = TimeSpan.FromSeconds(2);

    // Five minutes of silence, a look each second, and a minute between two changes of the voters.
    private static readonly TimeSpan SwapPatience = TimeSpan.FromMinutes(8);
    private const int SlowWritesPerSecond = 6;

    private readonly HashSet<LanNode> _gone = [];
    private readonly NodeApi[] _apis = [.. lan.Nodes.Select(n => new NodeApi(n.Socket, CallPatience))];
    private int _phases;

    /// <summary>Daemons that ended by themselves and were started again, as a supervisor does.</summary>
    public int Restarts { get; private set; }

    /// <summary>All faults that this machine can bring about.</summary>
    public static ImmutableArray<Fault> Possible { get; } =
        [.. Enum.GetValues<Fault>().Where(f => f != Fault.SlowDisk || SmallDisk.NotSlowBecause is null)];

    private LanNode[] Present => [.. lan.Nodes.Where(n => !_gone.Contains(n))];

    /// <summary>Waits until the daemons are one cluster in which so many vote.</summary>
    public static async Task VotersAsync(NodeLan lan, int voters)
    {
        await NodeLan.OneClusterAsync(lan.Nodes, Patience);
        await Until.SeenAsync(Patience, $"{voters} voters, all of them well", async () =>
        {
            ClusterReport report = await lan.Nodes[0].ClusterAsync();
            return report is { Source: "leader", Changing: false } && report.Voters.Length == voters && report.Voters.All(v => v.State == "ok")
                ? null
                : $"{report.Source}: {string.Join(", ", report.Voters.Select(v => $"{v.Name} {v.State}"))}";
        });
    }

    /// <summary>One phase.</summary>
    /// <param name="faults">What happens, one after the other.</param>
    /// <param name="held">How long each fault lasts.</param>
    /// <param name="clients">At most a dozen, so that the exact search ends.</param>
    /// <param name="operations">No client begins another once so many were begun; the faults go on to their end.</param>
    public async Task<PhaseReport> RunAsync(IReadOnlyList<Fault> faults, TimeSpan held, int clients, int operations)
    {
        int phase = ++_phases;
        string network = $"p{phase}", subnet = $"10.{100 + (phase % 100)}.0";
        (await Present[0].KctlAsync(
            "create", "network", network, "--gateway-ip", subnet + ".1", "--internal-netmask", "255.255.252.0", "--type", "vxlan")).OrThrow();
        var operationsLeft = new Budget(operations);
        var calls = new ConcurrentBag<Call>();
        using var over = new CancellationTokenSource();
        Task[] working = [.. Enumerable.Range(0, clients).Select(c => WorkAsync(network, $"p{phase}c{c}", new Random(random.Next()), operationsLeft, calls, over.Token))];
        foreach (Fault fault in faults)
        {
            await HappenAsync(fault, held);
        }

        // What is left is done in peace.
        await Task.WhenAll(working).WaitAsync(Patience);
        await over.CancelAsync();
        RestartEnded();
        (ImmutableArray<string> violations, int released) = await CheckAsync(network, subnet, [.. calls]);
        await DeleteAsync(network);
        return new PhaseReport(
            calls.Count, calls.Count(c => c.IsAttach && c.Address is not null), calls.Count(c => c.IsAttach && !c.IsAnswered), released, violations);
    }

    /// <summary>
    /// A voter ends and is not started again until another node votes in its place, which takes five minutes; clients go on
    /// meanwhile. Then it comes back, and has to find that it does not vote any more.
    /// </summary>
    /// <exception cref="NotInTimeException">Nobody took its place in time.</exception>
    public async Task<SwapReport> SwapAsync(int clients, int operations)
    {
        // From the leader: who only knows by hearsay may not know a voter's name.
        ClusterReport before = null!;
        await Until.SeenAsync(Patience, "the leader names the voters, all of them well", async () =>
        {
            before = await lan.Nodes[0].ClusterAsync();
            return before is { Source: "leader", Changing: false } && before.Voters.All(v => v.State == "ok" && lan.Nodes.Any(n => n.Name == v.Name))
                ? null
                : $"{before.Source}: {string.Join(", ", before.Voters.Select(v => $"{v.Name} {v.State}"))}";
        });
        string[] voters = [.. before.Voters.Select(v => v.Name)];
        LanNode gone = lan.Nodes.Single(n => n.Name == voters[random.Next(voters.Length)]);
        say($"{gone.Name} of the voters {string.Join(", ", voters)} ends for good{(before.Leader == gone.Name ? "; it leads" : "")}");
        long ended = Stopwatch.GetTimestamp();
        await gone.KillAsync();
        _gone.Add(gone);
        List<PhaseReport> phases = [];
        ClusterReport now;
        do
        {
            if (Stopwatch.GetElapsedTime(ended) > SwapPatience)
            {
                throw new NotInTimeException($"{gone.Name} still votes after {SwapPatience}");
            }

            phases.Add(await RunAsync([], TimeSpan.Zero, clients, operations));
            now = await Present[0].ClusterAsync();
        }
        while (now is not { Source: "leader", Changing: false } || now.Voters.Any(v => v.Name == gone.Name));
        TimeSpan after = Stopwatch.GetElapsedTime(ended);
        string[] successors = [.. now.Voters.Select(v => v.Name).Except(voters)];
        say($"after {after.TotalSeconds:0} s the voters are {string.Join(", ", now.Voters.Select(v => v.Name))}");

        gone.Start();
        _gone.Remove(gone);
        await VotersAsync(lan, voters.Length);
        PhaseReport last = await RunAsync([Fault.Kill, Fault.Mute], TimeSpan.FromSeconds(3), clients, operations);
        now = await lan.Nodes[0].ClusterAsync();
        string[] wrong = [.. SwapViolations()];
        phases.Add(last with { Violations = [.. last.Violations, .. wrong] });
        return new SwapReport(gone.Name, string.Join(", ", successors), after, [.. phases]);

        IEnumerable<string> SwapViolations()
        {
            if (successors.Length != 1)
            {
                yield return $"in place of {gone.Name} vote: {string.Join(", ", successors)}";
            }

            if (now.Voters.Length != voters.Length)
            {
                yield return $"{now.Voters.Length} vote instead of {voters.Length}";
            }

            if (now.Voters.Any(v => v.Name == gone.Name))
            {
                yield return $"{gone.Name} came back and votes, with every seat taken";
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        foreach (NodeApi api in _apis)
        {
            api.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    private async Task HappenAsync(Fault fault, TimeSpan held)
    {
        // The leader more often than chance would have it: that is where it hurts.
        int victim = random.Next(2) == 0 && await LeaderAsync() is { } leader ? leader : random.Next(lan.Nodes.Count);
        LanNode node = lan.Nodes[victim];
        say($"{fault} {node.Name}");
        switch (fault)
        {
            case Fault.Kill: await node.KillAsync(); break;
            case Fault.Pause: node.Pause(); break;
            case Fault.Deafen: await lan.DeafenAsync(node); break;
            case Fault.Mute: await lan.MuteAsync(node); break;
            case Fault.SlowDisk: await disks[victim].LimitWritesAsync(SlowWritesPerSecond); break;
            case Fault.HangDisk: await disks[victim].FreezeAsync(); break;
            default: disks[victim].Fill(); break;
        }

        await Task.Delay(held);
        switch (fault)
        {
            case Fault.Kill: node.Start(); break;
            case Fault.Pause: node.Resume(); break;
            case Fault.Deafen or Fault.Mute: await lan.HealAsync(); break;
            case Fault.SlowDisk: await disks[victim].LimitWritesAsync(0); break;
            case Fault.HangDisk: await disks[victim].ThawAsync(); break;
            default: disks[victim].Free(); break;
        }

        RestartEnded();
    }

    private async Task<int?> LeaderAsync()
    {
        for (int i = 0; i < lan.Nodes.Count; i++)
        {
            if (lan.Nodes[i].IsRunning && (await lan.Nodes[i].KctlAsync("status", "-o", "json")) is { ExitCode: 0 or 9 } told
                && told.Read(ApiJson.Default.StatusReport).Consensus.Role == "leader")
            {
                return i;
            }
        }

        return null;
    }

    private void RestartEnded()
    {
        foreach (LanNode node in Present.Where(n => !n.IsRunning))
        {
            say($"{node.Name} has ended by itself and is started again:\n{node.LogTail(25)}");
            Restarts++;
            node.Start();
        }
    }

    private async Task WorkAsync(string network, string name, Random mine, Budget left, ConcurrentBag<Call> calls, CancellationToken over)
    {
        var held = new List<(int Node, string Nic)>();
        int[] nodes = [.. Enumerable.Range(0, lan.Nodes.Count).Where(i => !_gone.Contains(lan.Nodes[i]))];
        for (int i = 0; !over.IsCancellationRequested && left.TryTake(); i++)
        {
            if (held.Count > 0 && mine.Next(5) < 2)
            {
                int which = mine.Next(held.Count);
                (int node, string nic) = held[which];
                held.RemoveAt(which);
                long called = Stopwatch.GetTimestamp();
                ApiAnswer<ChangeReceipt> answer = await _apis[node].DetachAsync(network, nic);
                calls.Add(new Call(node, nic, false, called, Stopwatch.GetTimestamp(), null, answer.Value is not null));
                await RestAsync(answer.Value is null);
            }
            else
            {
                int node = nodes[mine.Next(nodes.Length)];
                string nic = $"{name}n{i}";
                long called = Stopwatch.GetTimestamp();
                ApiAnswer<NicInfo> answer = await _apis[node].AttachAsync(network, nic);
                calls.Add(new Call(node, nic, true, called, Stopwatch.GetTimestamp(), answer.Value?.Address, answer.Value?.Address is not null));
                if (answer.Value is not null)
                {
                    held.Add((node, nic));
                }

                await RestAsync(answer.Value is null);
            }
        }

        // A node that is away refuses at once, and asking it again and again would use the operations up.
        static Task RestAsync(bool wasRefused) => wasRefused ? Task.Delay(250, CancellationToken.None) : Task.CompletedTask;
    }

    private async Task<(ImmutableArray<string> Violations, int Released)> CheckAsync(string network, string subnet, ImmutableArray<Call> calls)
    {
        NicInfo[] nics = await SettledAsync(network);
        ILookup<string, NicInfo> byName = nics.ToLookup(n => n.Name, StringComparer.Ordinal);
        HashSet<string> detached = [.. calls.Where(c => !c.IsAttach).Select(c => c.Nic)];
        long now = Stopwatch.GetTimestamp();
        List<HistoryOperation> history = [];
        List<string> violations = [];
        int released = 0;
        foreach (Call call in calls.Where(c => c.IsAttach))
        {
            NicInfo? present = byName[call.Nic].FirstOrDefault();
            if (call.Address is { } told)
            {
                history.Add(Operation(AddressAction.Allocate, call, call.Returned, AnswerKind.Granted, told));
                if (present is not null && present.Address != told)
                {
                    violations.Add($"{call.Nic} was told {told} and has {present.Address}");
                }
            }
            else if (present is not null)
            {
                // It completed by itself.
                call.Address = present.Address;
                history.Add(Operation(AddressAction.Allocate, call, now, AnswerKind.Granted, present.Address));
            }
            else if (detached.Contains(call.Nic))
            {
                history.Add(Operation(AddressAction.Allocate, call, HistoryOperation.Never, AnswerKind.Unknown, null));
            }

            // What is not there and was not detached was never asked for: the record is stored before the question.
        }

        HashSet<string> granted = [.. history.Where(o => o.Answer == AnswerKind.Granted).Select(o => o.Attachment)];
        foreach (Call call in calls.Where(c => !c.IsAttach))
        {
            NicInfo? present = byName[call.Nic].FirstOrDefault();
            if (call.IsAnswered && present is not null)
            {
                violations.Add($"{call.Nic} was detached and is on {present.Node} with {present.Address}");
            }

            if (!call.IsAnswered && present is not null)
            {
                // Refused, or never heard: it is there with its lease, so nothing was released.
                continue;
            }

            // Without a NIC and without a lease at the end, the log has ended the lease by then, and mostly long before.
            bool isReleased = present is null && granted.Contains(call.Nic);
            released += isReleased ? 1 : 0;
            long returned = !isReleased ? HistoryOperation.Never
                : call.IsAnswered && Stopwatch.GetElapsedTime(call.Called, call.Returned) < ReleasedBefore ? call.Returned
                : now;
            history.Add(Operation(AddressAction.Release, call, returned, isReleased ? AnswerKind.Released : AnswerKind.Unknown, null));
        }

        // What all hosts and all copies of the log said at the end, as one more answer for each: a release that was answered
        // and did not happen has no place before it, and neither has one that nobody asked for.
        foreach (string nic in granted)
        {
            string? address = byName[nic].FirstOrDefault()?.Address?.Split('/')[0];
            history.Add(new HistoryOperation(
                network, AddressAction.Lookup, nic, null, now + 1, now + 2, address is null ? AnswerKind.NotHeld : AnswerKind.Held, address));
        }

        foreach (IGrouping<string?, NicInfo> twice in nics.GroupBy(n => n.Address, StringComparer.Ordinal).Where(g => g.Count() > 1))
        {
            violations.Add($"{twice.Key} is on {string.Join(" and on ", twice.Select(n => $"{n.Node} as {n.Name}"))}");
        }

        string[] order = [.. Enumerable.Range(2, 1021).Select(i => $"{subnet[..subnet.LastIndexOf('.')]}.{i / 256}.{i % 256}")];
        violations.AddRange(IntervalChecker.FindViolations(history, _ => order));
        if (LinearizabilityChecker.FindViolation(history, _ => order) is { } wrong)
        {
            violations.Add(wrong);
        }

        return ([.. violations], released);

        HistoryOperation Operation(AddressAction action, Call call, long returned, AnswerKind answer, string? address) => new(
            network, action, call.Nic, null, call.Called, returned, answer, address?.Split('/')[0]);
    }

    /// <summary>Waits until hosts and log hold the same, and gives the NICs of all hosts.</summary>
    private async Task<NicInfo[]> SettledAsync(string network)
    {
        await NodeLan.OneClusterAsync(Present, Patience);
        NicInfo[] nics = [];
        await Until.SeenAsync(Patience, "every NIC has its address and every lease its NIC, on all nodes", async () =>
        {
            // Each node about its own NICs.
            List<NicInfo> own = [];
            foreach ((NodeApi api, LanNode node) in PresentApis())
            {
                own.AddRange((await api.NicsAsync(network)).Where(n => n.Node == node.Name));
            }

            nics = [.. own];
            if (nics.FirstOrDefault(n => n.State != "Ready") is { } waiting)
            {
                return $"{waiting.Name} on {waiting.Node} is {waiting.State}: {waiting.Reason}";
            }

            string[] held = [.. nics.Select(n => $"{n.AttachmentId} {n.Address!.Split('/')[0]}").Order(StringComparer.Ordinal)];
            foreach ((NodeApi api, LanNode node) in PresentApis())
            {
                string[] leased = [.. (await api.AddressesAsync(network)).Leases.Select(l => $"{l.AttachmentId} {l.Address}").Order(StringComparer.Ordinal)];
                if (!leased.SequenceEqual(held))
                {
                    return $"{node.Name}: leases without a NIC: {string.Join(", ", leased.Except(held))}; NICs without a lease: {string.Join(", ", held.Except(leased))}";
                }
            }

            return null;
        });
        return nics;
    }

    private IEnumerable<(NodeApi Api, LanNode Node)> PresentApis() =>
        _apis.Zip(lan.Nodes).Where(pair => !_gone.Contains(pair.Second));

    private async Task DeleteAsync(string network)
    {
        foreach ((NodeApi api, LanNode node) in PresentApis())
        {
            foreach (NicInfo nic in (await api.NicsAsync(network)).Where(n => n.Node == node.Name))
            {
                await api.DetachAsync(network, nic.Name);
            }
        }

        await Until.SeenAsync(Patience, $"{network} is deleted", async () =>
        {
            KctlResult deleted = await Present[0].KctlAsync("delete", "network", network);
            return deleted.ExitCode is 0 or 3 ? null : deleted.Command.Stderr;
        });
        foreach (LanNode node in Present)
        {
            await Until.SeenAsync(Patience, $"no device of {network} is left on {node.Name}", async () =>
            {
                string[] left = [.. (await Link.AllAsync(node.Namespace)).Where(l => l.Name == "kbr-" + network || l.Master == "kbr-" + network).Select(l => l.Name)];
                return left.Length == 0 ? null : string.Join(", ", left);
            });
        }
    }

    private sealed class Budget(int operations)
    {
        private int _left = operations;

        public bool TryTake() => Interlocked.Decrement(ref _left) >= 0;
    }

    private sealed record Call(int Node, string Nic, bool IsAttach, long Called, long Returned, string? Told, bool IsAnswered)
    {
        public string? Address { get; set; } = Told;
    }
}
