using System.Collections.Frozen;
using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;

namespace Kcore.Daemon.Api;

/// <summary>The cluster's keys as <c>kctl cluster keys</c> shows them, and the beginning of a rotation.</summary>
internal sealed class KeyReports(KeyLoop loop, PeerKeys peers, CatalogHub catalog)
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

        RotationRefusal? refusal = await loop.RotateAsync(overlap, token);
        return refusal is null
            ? Report()
            : throw new RefusedException(ErrorCode.FailedPrecondition, $"the key is not rotated: {refusal.Text}", refusal.Details, "kctl cluster keys");
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
                yield return $"node {member.Name} is dead and does not hold key {newest.Text}: back after the others have retired, it needs the key file of a member";
            }
        }
    }

    private static string StatusOf(Member member) => member.Status.ToString().ToLowerInvariant();
}
