using System.Collections.Frozen;
using System.Net;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Hosts;

/// <summary>The numbers of <see cref="HostWatch"/>.</summary>
internal sealed record HostWatchRules
{
    /// <summary>Pace of the questions while the daemon is suspected or dead.</summary>
    public TimeSpan Doubtful { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Pace while the daemon lives and its host was not heard yet.</summary>
    public TimeSpan Introduction { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Pace while the daemon lives and it is known whether its host answers.</summary>
    public TimeSpan Routine { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>So many unanswered questions in a row, over at least <see cref="SilenceMin"/>, are silence.</summary>
    public int SilenceCount { get; init; } = 6;

    public TimeSpan SilenceMin { get; init; } = TimeSpan.FromSeconds(2.5);

    /// <summary>So many unanswered questions to a host whose daemon lives mean that ICMP is filtered.</summary>
    public int MuteCount { get; init; } = 5;

    /// <summary>A turn this late means that this node stood still: what was not answered meanwhile proves nothing.</summary>
    public TimeSpan StallMin { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Questions of one turn.</summary>
    public int AtOnce { get; init; } = 64;
}

/// <summary>
/// Tells a dead daemon from a dead host: a member that gossip has buried keeps its entries while its host answers ICMP echo.
/// Pure: members, answers and the time go in; whom to ask, and what is known, come out. A host that does not answer while
/// its daemon lives is never judged by its silence, neither is one that has not answered since this node started (ICMP may
/// be filtered on the way to it, and a restart of ours must not withdraw what stood before), nor anybody by a silence of our own making.
/// <code>
/// Unknown ──answer──► Answers ──daemon dead and silence──► Silent ──answer──► Answers
///    │                                                        └──daemon alive──► Unknown
///    └──silence, daemon alive──► Mute ──answer──► Answers
/// </code>
/// </summary>
internal sealed class HostWatch(HostWatchRules rules)
{
    private readonly SortedDictionary<NodeId, Host> _hosts = [];

    /// <summary>When <see cref="Ask"/> is wanted next; null when there is nobody to ask.</summary>
    public TimeSpan? NextDeadline => _hosts.Count == 0 ? null : _hosts.Values.Min(h => h.AskAt);

    public FrozenDictionary<NodeId, HostState> States => _hosts.ToFrozenDictionary(h => h.Key, h => h.Value.State);

    /// <summary>Takes in the other members with their tunnel addresses; whoever left or was removed is not among them.</summary>
    public void Observe(IEnumerable<(NodeId Node, IPAddress Address, MemberStatus Status)> members, TimeSpan now)
    {
        HashSet<NodeId> gone = [.. _hosts.Keys];
        foreach ((NodeId node, IPAddress address, MemberStatus status) in members)
        {
            gone.Remove(node);
            if (!_hosts.TryGetValue(node, out Host? host) || !host.Address.Equals(address))
            {
                _hosts[node] = host = new Host(address) { Status = status, AskAt = now };
                continue;
            }

            if (host.Status != status)
            {
                bool wasAlive = host.Status == MemberStatus.Alive, isAlive = status == MemberStatus.Alive;
                host.Status = status;
                if (wasAlive != isAlive)
                {
                    // What was not answered before belongs to the other question.
                    host.Forget();
                    host.AskAt = now;
                }

                host.State = isAlive && host.State == HostState.Silent ? HostState.Unknown : host.State;
            }
        }

        foreach (NodeId node in gone)
        {
            _hosts.Remove(node);
        }
    }

    /// <summary>A host has answered.</summary>
    public void Answered(IPAddress address)
    {
        foreach (Host host in _hosts.Values.Where(h => h.Address.Equals(address)))
        {
            host.Forget();
            host.State = HostState.Answers;
        }
    }

    /// <summary>The question could not be sent, for a reason of this node's own.</summary>
    public void NotSent(IPAddress address)
    {
        foreach (Host host in _hosts.Values.Where(h => h.Address.Equals(address)))
        {
            host.Forget();
        }
    }

    /// <summary>Counts what was not answered, and gives whom to ask now.</summary>
    public List<IPAddress> Ask(TimeSpan now)
    {
        if (NextDeadline is { } due && now - due >= rules.StallMin)
        {
            foreach (Host host in _hosts.Values)
            {
                host.Forget();
            }
        }

        List<IPAddress> asked = [];
        foreach (Host host in _hosts.Values.Where(h => h.AskAt <= now).OrderBy(h => h.AskAt).Take(rules.AtOnce))
        {
            if (host.AskedAt is not null)
            {
                host.Unanswered++;
                Judge(host, now);
            }

            host.AskedAt = now;
            host.SilentSince ??= now;
            host.AskAt = now + PaceOf(host);
            asked.Add(host.Address);
        }

        return asked;
    }

    private void Judge(Host host, TimeSpan now)
    {
        switch (host.Status)
        {
            case MemberStatus.Alive when host.Unanswered >= rules.MuteCount:
                host.State = HostState.Mute;
                break;
            case MemberStatus.Dead when host.State == HostState.Answers
                && host.Unanswered >= rules.SilenceCount && now - host.SilentSince >= rules.SilenceMin:
                host.State = HostState.Silent;
                break;
            default:
                break;
        }
    }

    private TimeSpan PaceOf(Host host) =>
        host.Status != MemberStatus.Alive ? rules.Doubtful
        : host.State == HostState.Unknown || (host.State == HostState.Answers && host.Unanswered > 0) ? rules.Introduction
        : rules.Routine;

    private sealed class Host(IPAddress address)
    {
        public IPAddress Address { get; } = address;

        public MemberStatus Status { get; set; }

        public HostState State { get; set; }

        public TimeSpan AskAt { get; set; }

        /// <summary>Null when no question is open.</summary>
        public TimeSpan? AskedAt { get; set; }

        public TimeSpan? SilentSince { get; set; }

        public int Unanswered { get; set; }

        public void Forget() => (AskedAt, SilentSince, Unanswered) = (null, null, 0);
    }
}
