using System.Collections.Immutable;
using System.Globalization;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Gossip;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>One voter, as this node sees it.</summary>
internal sealed record VoterSight(NodeId Node, string Name, string Status)
{
    public bool IsSeen => Status == "alive";
}

/// <summary>Whether addresses can be given out, as far as this node can tell.</summary>
/// <param name="Since">Since when not; null while they can, or when it was never tried.</param>
internal sealed record QuorumView(bool HasQuorum, NodeId? Leader, ImmutableArray<VoterSight> Voters, DateTimeOffset? Since)
{
    /// <summary>Whether a leader could be there, whatever this node has heard of it.</summary>
    public bool IsMajoritySeen => Voters.Count(v => v.IsSeen) > Voters.Length / 2;
}

/// <summary>Puts together what the log, the members and the own attempts say about the quorum, and words its absence.</summary>
internal sealed class QuorumSight(ClusterLedger ledger, CatalogHub catalog, LeaderRoute route, TimeProvider time)
{
    private readonly Lock _memory = new();
    private DateTimeOffset? _failingSince;

    public QuorumView Current
    {
        get
        {
            CatalogSnapshot now = catalog.Current.Current;
            ImmutableArray<VoterSight> voters =
            [
                .. route.Voters.Select(v => new VoterSight(v, now.NameOf(v), now.Gossip.Members.Find(v)?.Status.ToString().ToLowerInvariant() ?? "unknown"))
                    .OrderBy(v => v.Name, StringComparer.Ordinal),
            ];
            if (ledger.Status is { Fault: ConsensusFault.None, IsMember: true } status)
            {
                NodeId? leader = route.Leader;
                return new QuorumView(leader is not null, leader, voters, leader is null ? status.LeaderlessSince : null);
            }

            lock (_memory)
            {
                var view = new QuorumView(false, route.Leader, voters, _failingSince);
                return view with { HasQuorum = view.IsMajoritySeen };
            }
        }
    }

    /// <summary>The log answered.</summary>
    public void Answered()
    {
        lock (_memory)
        {
            _failingSince = null;
        }
    }

    /// <summary>Nobody answered for the log.</summary>
    public void Failed()
    {
        lock (_memory)
        {
            _failingSince ??= time.GetUtcNow();
        }
    }

    /// <summary>The refusal of what needs a quorum.</summary>
    /// <param name="what">What cannot be done.</param>
    /// <param name="last">How the last attempt ended; may be empty.</param>
    /// <param name="give">A command that gives the request up, if there is one.</param>
    public RefusedException NoQuorum(string what, string last, string? give = null)
    {
        QuorumView view = Current;
        string[] missing = [.. view.Voters.Where(v => !v.IsSeen).Select(v => v.Name)];
        string help = missing.Length > 0
            ? $"bring back {string.Join(" or ", missing)}; it then completes by itself"
            : "the voters are seen: check TCP 7947 between them and their disks";
        return new RefusedException(ErrorCode.Unavailable, $"no quorum: {what}", [.. Evidence(view, last)], $"{help} (kctl cluster status){(give is null ? "" : $"; or give up with: {give}")}");
    }

    private static IEnumerable<string> Evidence(QuorumView view, string last)
    {
        foreach (VoterSight voter in view.Voters)
        {
            yield return $"voter {voter.Name}: {(voter.IsSeen ? "seen" : "missing")} ({voter.Status})";
        }

        if (view.Since is { } since)
        {
            yield return $"since: {since.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)}";
        }

        if (last.Length > 0)
        {
            yield return $"last attempt: {last}";
        }
    }
}
