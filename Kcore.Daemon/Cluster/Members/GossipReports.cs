using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>Turns what the core reports into events and log lines, and remembers which peers hold another catalog.</summary>
internal sealed partial class GossipReports(EventLog events, Action<NodeId, IPEndPoint> onTwin, Action onYielded, TimeProvider time, ILogger logger) : IGossipObserver
{
    private ImmutableDictionary<NodeId, DateTimeOffset> _differing = ImmutableDictionary<NodeId, DateTimeOffset>.Empty;
    private string? _storageFault;

    /// <summary>Peers whose catalog differs from ours, since when.</summary>
    public ImmutableDictionary<NodeId, DateTimeOffset> Differing => Volatile.Read(ref _differing);

    /// <summary>Why the latest catalog write failed; null when it did not.</summary>
    public string? StorageFault => Volatile.Read(ref _storageFault);

    /// <summary>The node hears from nobody although it should.</summary>
    public bool IsIsolated { get; private set; }

    public void Observe(GossipEffect effect)
    {
        switch (effect)
        {
            case GossipEffect.MemberChanged change:
                Report(change);
                break;
            case GossipEffect.MemberForgotten forgotten:
                Volatile.Write(ref _differing, _differing.Remove(forgotten.Member.Id));
                events.Add("MemberRemoved", $"node {forgotten.Member.Name} was removed", forgotten.Member.Id.ToString());
                break;
            case GossipEffect.DigestDiverged diverged:
                Volatile.Write(ref _differing, _differing.SetItem(diverged.Peer, time.GetUtcNow()));
                events.Add("DigestDiverged", $"node {diverged.Peer.Short} holds another catalog; repairing", diverged.Peer.ToString());
                break;
            case GossipEffect.DigestAgreed agreed:
                Volatile.Write(ref _differing, _differing.Remove(agreed.Peer));
                events.Add("DigestAgreed", $"node {agreed.Peer.Short} holds the same catalog again", agreed.Peer.ToString());
                break;
            case GossipEffect.ContentDiverged content:
                Log.ContentDiverged(logger, content.Peer.Short, content.Origin.Short);
                events.Add("CatalogDamaged", $"facts of node {content.Origin.Short} differ on node {content.Peer.Short} at the same version", content.Origin.ToString());
                break;
            case GossipEffect.NameConflict conflict:
                Log.NameConflict(logger, conflict.Name, conflict.First.Short, conflict.Second.Short);
                events.Add("Conflict", $"two nodes are named {conflict.Name}: {conflict.First} and {conflict.Second}");
                break;
            case GossipEffect.CloneDetected clone:
                Log.Clone(logger, clone.Id.ToString(), clone.Other.ToString());
                events.Add("Conflict", $"node {clone.Id.Short} seems to run twice, the second time at {clone.Other}: a copied disk", clone.Id.ToString());
                onTwin(clone.Id, clone.Other);
                break;
            case GossipEffect.Yielded:
                onYielded();
                break;
            case GossipEffect.Isolated isolated:
                IsIsolated = isolated.IsIsolated;
                events.Add(isolated.IsIsolated ? "Isolated" : "Reconnected", isolated.IsIsolated ? "no other member answers this node" : "other members answer again");
                break;
            default:
                // Catalog changes are seen in the published view.
                break;
        }
    }

    public void StorageFailed(string cause)
    {
        // It is tried again every second; once is enough to be told.
        if (cause != Interlocked.Exchange(ref _storageFault, cause))
        {
            Log.StorageFailed(logger, cause);
        }
    }

    public void StorageWorked() => Volatile.Write(ref _storageFault, null);

    private void Report(GossipEffect.MemberChanged change)
    {
        Member member = change.After;
        string id = member.Id.ToString();
        if (change.Before is { } before && !before.Endpoint.Equals(member.Endpoint))
        {
            events.Add("AddressChanged", $"node {member.Name} moved from {before.Endpoint} to {member.Endpoint}", id);
        }

        if (change.Before?.Status == member.Status)
        {
            return;
        }

        string accuser = change.Accuser?.Short ?? "";
        switch (member.Status)
        {
            case MemberStatus.Alive:
                Log.Alive(logger, member.Name, member.Endpoint.ToString());
                events.Add(
                    change.Before is null or { Status: MemberStatus.Left } ? "MemberJoined" : "MemberAlive",
                    $"node {member.Name} is alive at {member.Endpoint}",
                    id);
                break;
            case MemberStatus.Suspect:
                Log.Suspect(logger, member.Name, accuser);
                events.Add("MemberSuspected", $"node {member.Name} does not answer", id, null, ("accuser", change.Accuser?.ToString() ?? ""));
                break;
            case MemberStatus.Dead:
                Log.Dead(logger, member.Name);
                events.Add("MemberDead", $"node {member.Name} is taken for dead; its entries stay", id, null, ("accuser", change.Accuser?.ToString() ?? ""));
                break;
            case MemberStatus.Left:
                Log.Left(logger, member.Name);
                events.Add("MemberLeft", $"node {member.Name} left", id);
                break;
            default:
                break;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1160, LogLevel.Information, "Member {Node} is alive at {Endpoint}")]
        public static partial void Alive(ILogger logger, string node, string endpoint);

        [LoggerMessage(1161, LogLevel.Warning, "Member {Node} suspected by {Accuser}")]
        public static partial void Suspect(ILogger logger, string node, string accuser);

        [LoggerMessage(1162, LogLevel.Warning, "Member {Node} is taken for dead; its forwarding entries stay")]
        public static partial void Dead(ILogger logger, string node);

        [LoggerMessage(1163, LogLevel.Information, "Member {Node} left")]
        public static partial void Left(ILogger logger, string node);

        [LoggerMessage(1164, LogLevel.Error, "The catalog could not be stored: {Cause}")]
        public static partial void StorageFailed(ILogger logger, string cause);

        [LoggerMessage(1165, LogLevel.Error, "Node {Peer} holds other facts of node {Origin} at the same version")]
        public static partial void ContentDiverged(ILogger logger, string peer, string origin);

        [LoggerMessage(1166, LogLevel.Warning, "Two nodes are named {Name}: {First} and {Second}; give one of them another --node-name")]
        public static partial void NameConflict(ILogger logger, string name, string first, string second);

        [LoggerMessage(1167, LogLevel.Warning, "Node {Node} seems to run twice, the second time at {Endpoint}: a copied disk")]
        public static partial void Clone(ILogger logger, string node, string endpoint);
    }
}
