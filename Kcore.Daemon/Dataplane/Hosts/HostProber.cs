using System.Collections.Frozen;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dataplane.Hosts;

/// <summary>Asks the hosts that <see cref="HostWatch"/> wants asked, and publishes what is known of them.</summary>
internal sealed partial class HostProber(LocalNode self, CatalogHub catalog, EventLog events, TimeProvider time, ILogger logger)
{
    /// <summary>Between two turns, however much there is to do.</summary>
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(20);

    /// <summary>Between two attempts to get a socket.</summary>
    private static readonly TimeSpan SocketPause = TimeSpan.FromSeconds(30);

    private readonly HostWatch _watch = new(new HostWatchRules());
    private readonly long _started = time.GetTimestamp();

    public Published<HostSights> Sights { get; } = new(HostSights.None);

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        string? told = null;
        while (true)
        {
            using var socket = EchoSocket.Open(out string? refusal);
            if (socket is not null)
            {
                Sights.Replace(Sights.Current with { Obstacle = null });
                await ProbeAsync(socket, stoppingToken);
            }
            else if (told != refusal)
            {
                told = refusal;
                Log.NoSocket(logger, refusal);
                Sights.Replace(HostSights.None with { Obstacle = $"this node cannot ask hosts for an ICMP echo ({refusal}): entries of dead hosts stay" });
            }

            await Task.Delay(SocketPause, time, stoppingToken);
        }
    }

    private async Task ProbeAsync(EchoSocket socket, CancellationToken stoppingToken)
    {
        Task<IPAddress?> answer = socket.ReceiveAsync(stoppingToken);
        while (true)
        {
            // Answers first: those that came while this node stood still were in time.
            while (answer.IsCompleted)
            {
                if (await answer is { } host)
                {
                    _watch.Answered(host);
                }

                answer = socket.ReceiveAsync(stoppingToken);
            }

            (CatalogSnapshot facts, long revision) = catalog.Current.Read();
            _watch.Observe(Others(facts), Now);
            foreach (IPAddress address in _watch.Ask(Now).Where(a => !socket.TrySend(a)))
            {
                _watch.NotSent(address);
            }

            Publish(facts);
            TimeSpan pause = _watch.NextDeadline is { } due ? due - Now : Timeout.InfiniteTimeSpan;
            pause = pause < Breath && pause != Timeout.InfiniteTimeSpan ? Breath : pause;

            // What did not happen must not stay registered.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            await Task.WhenAny(answer, catalog.Current.ChangedSince(revision, woken.Token), Task.Delay(pause, time, woken.Token));
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    private TimeSpan Now => time.GetElapsedTime(_started);

    private IEnumerable<(NodeId, IPAddress, MemberStatus)> Others(CatalogSnapshot facts)
    {
        foreach (Member member in facts.Gossip.Members.Members)
        {
            if (member.Id != self.Id && member.Status != MemberStatus.Left && facts.View.Nodes.TryGetValue(member.Id, out NodeFact? fact))
            {
                yield return (member.Id, fact.Vtep, member.Status);
            }
        }
    }

    private void Publish(CatalogSnapshot facts)
    {
        FrozenDictionary<NodeId, HostState> before = Sights.Current.States, now = _watch.States;
        if (before.Count == now.Count && now.All(n => before.TryGetValue(n.Key, out HostState state) && state == n.Value))
        {
            return;
        }

        Sights.Replace(Sights.Current with { States = now });
        foreach ((NodeId node, HostState state) in now)
        {
            HostState last = before.GetValueOrDefault(node);
            string name = facts.NameOf(node);
            if (state == HostState.Silent && last != HostState.Silent)
            {
                Log.Silent(logger, name);
                events.Add("HostSilent", $"neither the daemon nor the host of node {name} answers; its entries are withdrawn", node.ToString());
            }
            else if (last == HostState.Silent)
            {
                Log.Back(logger, name);
                events.Add("HostBack", $"the host of node {name} answers again; its entries are restored", node.ToString());
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1460, LogLevel.Warning, "Neither the daemon nor the host of {Node} answers: its entries are withdrawn")]
        public static partial void Silent(ILogger logger, string node);

        [LoggerMessage(1461, LogLevel.Information, "{Node} is back: its entries are restored")]
        public static partial void Back(ILogger logger, string node);

        [LoggerMessage(1462, LogLevel.Warning, "Hosts cannot be asked for an ICMP echo, so entries of dead ones stay: {Cause}")]
        public static partial void NoSocket(ILogger logger, string? cause);
    }
}
