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
/// <param name="Violations">Empty when all is as it must be.</param>
public sealed record PhaseReport(int Operations, int Granted, int Late, ImmutableArray<string> Violations);

/// <summary>
/// Clients attach and detach NICs on real daemons while faults happen to these. Each phase has a network of its own; at
/// its end, when everything is well again, the history of what clients were told goes through both checkers, and what all
/// hosts hold is compared with what the log holds.
/// </summary>
public sealed class FaultCourse(NodeLan lan, IReadOnlyList<SmallDisk> disks, Random random, Action<string> say) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan CallPatience = TimeSpan.FromSeconds(30);

    private readonly NodeApi[] _apis = [.. lan.Nodes.Select(n => new NodeApi(n.Socket, CallPatience))];
    private int _phases;

    /// <summary>Daemons that ended by themselves and were started again, as a supervisor does.</summary>
    public int Restarts { get; private set; }

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
        (await lan.Nodes[0].KctlAsync(
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
        ImmutableArray<string> violations = await CheckAsync(network, subnet, [.. calls]);
        await DeleteAsync(network);
        return new PhaseReport(
            calls.Count, calls.Count(c => c.IsAttach && c.Address is not null), calls.Count(c => c.IsAttach && !c.IsAnswered), violations);
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
            default: disks[victim].Fill(); break;
        }

        await Task.Delay(held);
        switch (fault)
        {
            case Fault.Kill: node.Start(); break;
            case Fault.Pause: node.Resume(); break;
            case Fault.Deafen or Fault.Mute: await lan.HealAsync(); break;
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
        foreach (LanNode node in lan.Nodes.Where(n => !n.IsRunning))
        {
            say($"{node.Name} has ended by itself and is started again: {node.LogTail(3)}");
            Restarts++;
            node.Start();
        }
    }

    private async Task WorkAsync(string network, string name, Random mine, Budget left, ConcurrentBag<Call> calls, CancellationToken over)
    {
        var held = new List<(int Node, string Nic)>();
        for (int i = 0; !over.IsCancellationRequested && left.TryTake(); i++)
        {
            if (held.Count > 0 && mine.Next(5) < 2)
            {
                int which = mine.Next(held.Count);
                (int node, string nic) = held[which];
                held.RemoveAt(which);
                long called = Stopwatch.GetTimestamp();
                ApiAnswer<ChangeReceipt> answer = await _apis[node].DetachAsync(network, nic);

                // The answer says that the NIC is gone from its host, not yet that the log knows.
                calls.Add(new Call(node, nic, false, called, Stopwatch.GetTimestamp(), null, answer.Value is not null));
                await RestAsync(answer.Value is null);
            }
            else
            {
                int node = mine.Next(lan.Nodes.Count);
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

    private async Task<ImmutableArray<string>> CheckAsync(string network, string subnet, ImmutableArray<Call> calls)
    {
        await NodeLan.OneClusterAsync(lan.Nodes, Patience);
        NicInfo[] nics = [];
        await Until.SeenAsync(Patience, "every NIC has its address and every lease its NIC, on all nodes", async () =>
        {
            // Each node about its own NICs.
            List<NicInfo> own = [];
            for (int i = 0; i < _apis.Length; i++)
            {
                own.AddRange((await _apis[i].NicsAsync(network)).Where(n => n.Node == lan.Nodes[i].Name));
            }

            nics = [.. own];
            if (nics.FirstOrDefault(n => n.State != "Ready") is { } waiting)
            {
                return $"{waiting.Name} on {waiting.Node} is {waiting.State}: {waiting.Reason}";
            }

            string[] held = [.. nics.Select(n => $"{n.AttachmentId} {n.Address!.Split('/')[0]}").Order(StringComparer.Ordinal)];
            for (int i = 0; i < _apis.Length; i++)
            {
                string[] leased = [.. (await _apis[i].AddressesAsync(network)).Leases.Select(l => $"{l.AttachmentId} {l.Address}").Order(StringComparer.Ordinal)];
                if (!leased.SequenceEqual(held))
                {
                    return $"{lan.Nodes[i].Name}: leases without a NIC: {string.Join(", ", leased.Except(held))}; NICs without a lease: {string.Join(", ", held.Except(leased))}";
                }
            }

            return null;
        });

        ILookup<string, NicInfo> byName = nics.ToLookup(n => n.Name, StringComparer.Ordinal);
        long now = Stopwatch.GetTimestamp();
        List<HistoryOperation> allocations = [], releases = [];
        List<string> violations = [];
        foreach (Call call in calls)
        {
            NicInfo? present = byName[call.Nic].FirstOrDefault();
            if (!call.IsAttach)
            {
                releases.Add(new HistoryOperation(network, AddressAction.Release, call.Nic, null, call.Called, HistoryOperation.Never, AnswerKind.Unknown, null));
                if (call.IsAnswered && present is not null)
                {
                    violations.Add($"{call.Nic} was detached and is on {present.Node} with {present.Address}");
                }
            }
            else if (call.Address is { } told)
            {
                allocations.Add(Granted(call, call.Returned, told));
                if (present is not null && present.Address != told)
                {
                    violations.Add($"{call.Nic} was told {told} and has {present.Address}");
                }
            }
            else if (present is not null)
            {
                // It completed by itself. What is not there was never asked for: the record is stored before the question.
                call.Address = present.Address;
                allocations.Add(Granted(call, now, present.Address!));
            }
        }

        foreach (IGrouping<string?, NicInfo> twice in nics.GroupBy(n => n.Address, StringComparer.Ordinal).Where(g => g.Count() > 1))
        {
            violations.Add($"{twice.Key} is on {string.Join(" and on ", twice.Select(n => $"{n.Node} as {n.Name}"))}");
        }

        string[] order = [.. Enumerable.Range(2, 1021).Select(i => $"{subnet[..subnet.LastIndexOf('.')]}.{i / 256}.{i % 256}")];
        violations.AddRange(IntervalChecker.FindViolations([.. allocations, .. releases], _ => order));

        // A released address and its attachment never come back, so no answer depends on a release; the exact search is
        // spared these.
        if (LinearizabilityChecker.FindViolation(allocations, _ => order) is { } wrong)
        {
            violations.Add(wrong);
        }

        return [.. violations];

        HistoryOperation Granted(Call call, long returned, string address) => new(
            network, AddressAction.Allocate, call.Nic, null, call.Called, returned, AnswerKind.Granted, address.Split('/')[0]);
    }

    private async Task DeleteAsync(string network)
    {
        for (int i = 0; i < _apis.Length; i++)
        {
            foreach (NicInfo nic in (await _apis[i].NicsAsync(network)).Where(n => n.Node == lan.Nodes[i].Name))
            {
                await _apis[i].DetachAsync(network, nic.Name);
            }
        }

        await Until.SeenAsync(Patience, $"{network} is deleted", async () =>
        {
            KctlResult deleted = await lan.Nodes[0].KctlAsync("delete", "network", network);
            return deleted.ExitCode is 0 or 3 ? null : deleted.Command.Stderr;
        });
        foreach (LanNode node in lan.Nodes)
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
