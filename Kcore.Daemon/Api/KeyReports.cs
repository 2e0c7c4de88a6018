using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;

namespace Kcore.Daemon.Api;

/// <summary>The cluster's keys as <c>kctl cluster keys</c> shows them, and the beginning of a rotation.</summary>
internal sealed class KeyReports(KeyLoop loop, PeerKeys peers, ClusterLoop cluster, RingFingerprints fingerprints, CatalogHub catalog, LocalNode self)
{
    public async Task<ClusterKeys> RotateAsync(RotateKeyRequest request, CancellationToken token)
    {
        TimeSpan overlap = request.RetireAfterSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : RingKey.DefaultOverlap;
        if (overlap < RingKey.MinOverlap || overlap > RingKey.MaxOverlap)
        {
            throw new RefusedException(
                ErrorCode.InvalidArgument,
                $"retireAfterSeconds is {request.RetireAfterSeconds}, not {RingKey.MinOverlap.TotalSeconds} to {RingKey.MaxOverlap.TotalSeconds}");
        }

        KeyRefusal? refusal = await loop.RotateAsync(overlap, token);
        return refusal is null
            ? Report()
            : throw new RefusedException(ErrorCode.FailedPrecondition, $"the key is not rotated: {refusal.Text}", refusal.Details, "kctl cluster keys");
    }

    /// <summary>The key in words: whoever may open the socket may have it.</summary>
    public JoinTokenReply Token()
    {
        if (cluster.State.Current.Cluster is not { } own)
        {
            throw new RefusedException(ErrorCode.FailedPrecondition, "this node is in no cluster yet", next: "kctl status");
        }

        try
        {
            return new JoinTokenReply(new JoinToken(loop.Status.Current.Content.ActiveKey, own.Id).Print());
        }
        catch (ObjectDisposedException)
        {
            throw new RefusedException(ErrorCode.Unavailable, "the key has just been rotated", next: "kctl cluster token");
        }
    }

    public async Task<ChangeReceipt> JoinAsync(JoinClusterRequest request, CancellationToken token)
    {
        if (!JoinToken.TryParse(request.Token ?? "", out JoinToken? joining))
        {
            throw new RefusedException(
                ErrorCode.InvalidArgument, "this is no join token, or not all of it", next: "kctl cluster token, on a member, prints one: kcore1-... in one line");
        }

        bool there = cluster.State.Current.Cluster?.Id == joining.Cluster && loop.Status.Current.Content.Active == joining.Key.Secret.KeyId;
        return await loop.JoinAsync(joining, token) is { } refusal
            ? throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"this node does not take the key of another cluster: {refusal.Text}",
                refusal.Details,
                "stop kcored, write the key to its key file, delete its data directory and start it: what it holds is lost")
            : new ChangeReceipt(there ? "unchanged" : "joining", "Cluster", joining.Cluster.ToString("N"), self.Name);
    }

    /// <summary>Nodes heard on the LAN. What they say of themselves is not authenticated.</summary>
    public ImmutableArray<LanNeighbour> Neighbours()
    {
        UInt128? own = cluster.State.Current.Cluster is { } here ? Uid.FromGuid(here.Id) : null;
        return
        [
            .. cluster.Neighbours.Current.Where(n => n.Sighting.Node.NodeUid != self.Id.Value).Select(n => new LanNeighbour(
                new NodeId(n.Sighting.Node.NodeUid).ToString(),
                [.. n.Sighting.Addresses.Select(a => a.ToString())],
                n.Sighting.Node.GossipPort,
                n.Sighting.Node.KeyFingerprint,
                n.Sighting.Node.Fingerprints.Any(fingerprints.Contains),
                n.Sighting.Node.ClusterId?.ToString("x32", CultureInfo.InvariantCulture),
                n.Sighting.Node.ClusterId is { } theirs && theirs == own,
                n.Heard)),
        ];
    }

    public ClusterKeys Report()
    {
        CatalogSnapshot now = catalog.Current.Current;
        KeyStatus status = loop.Status.Current;
        FrozenDictionary<NodeId, KeyHolding> stated = peers.Stated;
        ImmutableArray<Member> members = [.. now.Gossip.Members.Members.Where(m => m.Status != MemberStatus.Left)];
        ImmutableArray<(Member Member, KeyHolding Holding)> live =
            [.. members.Where(m => m.IsActive && stated.ContainsKey(m.Id)).Select(m => (m, stated[m.Id]))];
        ImmutableArray<KeyName> names = [.. stated.Values.SelectMany(h => h.Held).Concat(status.Content.Holding.Held).Distinct().Order()];
        return new ClusterKeys
        {
            Keys =
            [
                .. names.Select(name => Line(
                    name,
                    status.Content,
                    live.Count(l => l.Holding.Holds(name.Id)),
                    live.Count(l => l.Holding.Active.Id == name.Id))),
            ],
            Members =
            [
                .. members.OrderBy(m => m.Name, StringComparer.Ordinal).Select(m => stated.TryGetValue(m.Id, out KeyHolding? holding)
                    ? new KeyHolder(m.Name, m.Id.ToString(), StatusOf(m), [.. holding.Held.Select(k => k.Text)], holding.Active.Text)
                    : new KeyHolder(m.Name, m.Id.ToString(), StatusOf(m), [], null)),
            ],
            Notes = [.. Notes(status, members, stated)],
        };
    }

    private static ClusterKey Line(KeyName name, RingContent content, int heldBy, int activeOn)
    {
        RingKey active = content.ActiveKey;
        if (content.Keys.FirstOrDefault(k => k.Secret.KeyId == name.Id) is not { } key)
        {
            return new ClusterKey(name.Text, name.Generation, "elsewhere", null, null, null, heldBy, activeOn);
        }

        bool retiring = name < active.Name;
        return new ClusterKey(
            name.Text,
            name.Generation,
            name.Id == content.Active ? "active" : retiring ? "retiring" : "staged",
            Fingerprint(key),
            key.ActiveSince,
            retiring ? active.ActiveSince + active.Overlap : null,
            heldBy,
            activeOn);
    }

    private static string? Fingerprint(RingKey key)
    {
        try
        {
            return key.Secret.Fingerprint();
        }
        catch (ObjectDisposedException)
        {
            // Retired while we were looking.
            return null;
        }
    }

    private static IEnumerable<string> Notes(KeyStatus status, ImmutableArray<Member> members, FrozenDictionary<NodeId, KeyHolding> stated)
    {
        if (status.Fault is { } fault)
        {
            yield return $"this node cannot store its keys: {fault}";
        }

        KeyName newest = status.Content.Holding.Newest;
        foreach (Member member in members)
        {
            bool holds = stated.TryGetValue(member.Id, out KeyHolding? holding) && holding.Holds(newest.Id);
            if (member.IsActive && !holds)
            {
                yield return $"waiting for node {member.Name} to take key {newest.Text}";
            }
            else if (member.IsActive && status.Content.Keys.Length > 1 && holding!.Active.Id != newest.Id)
            {
                yield return $"waiting for node {member.Name} to seal with key {newest.Text}";
            }
            else if (!member.IsActive && !holds)
            {
                yield return $"node {member.Name} is dead and does not hold key {newest.Text}: back after the others have retired, it needs kctl cluster join TOKEN";
            }
        }
    }

    private static string StatusOf(Member member) => member.Status.ToString().ToLowerInvariant();
}
