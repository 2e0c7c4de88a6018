using System.Collections.Immutable;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>What a node should do next about its keys.</summary>
internal abstract record KeyStep
{
    private KeyStep()
    {
    }

    /// <summary>Get a key from one of those who hold it. A full ring gives <paramref name="Drop"/> up for it.</summary>
    public sealed record Fetch(KeyName Key, ImmutableArray<NodeId> From, KeyName? Drop) : KeyStep;

    /// <summary>The cluster counts this key (which came in by hand, without a number) as that generation.</summary>
    public sealed record Renumber(KeyName From, KeyName To) : KeyStep;

    /// <summary>Seal with this key from now on.</summary>
    public sealed record Use(KeyName Key) : KeyStep;

    /// <summary>Everybody has moved: nothing but the active key is needed, once the overlap is over.</summary>
    public sealed record Retire(ImmutableArray<KeyName> Keys) : KeyStep;
}

/// <summary>
/// Rotation without a leader. Every node states which keys it holds and which it uses, looks at what the others state, and
/// moves itself one step:
/// <code>
/// staged ──► active ──► retiring ──► gone
///   │           │           └ everybody uses one key, and the overlap is over
///   │           └ every live member holds it
///   └ somebody live holds a newer key than we: fetch it over a stream
/// </code>
/// Steps depend on what is, never on what happened, so restarts, lost messages and splits do not matter. A node only
/// ever moves towards newer keys; the newest is the same for all who see the same, so rotations begun at one time
/// end in one key. Since a key stays accepted until everybody uses one and the same, nodes that share a key keep
/// understanding each other (<see cref="KeyRing.SendKeys"/> chooses it).
/// </summary>
internal static class KeyRotation
{
    /// <summary>The next step, or null when nothing is to be done.</summary>
    /// <param name="others">Live members but this node: whom the failure detector takes for dead does not hold a rotation up.</param>
    /// <param name="stated">What nodes state; a live member that states nothing yet holds everything up.</param>
    public static KeyStep? Next(
        KeyHolding own, IReadOnlyCollection<NodeId> others, IReadOnlyDictionary<NodeId, KeyHolding> stated)
    {
        List<KeyHolding> theirs = [.. others.Where(stated.ContainsKey).Select(n => stated[n])];
        ImmutableArray<KeyName> known = [.. theirs.SelectMany(h => h.Held)];
        foreach (KeyName mine in own.Held)
        {
            KeyName counted = known.Where(k => k.Id == mine.Id).DefaultIfEmpty(mine).Max();
            if (counted > mine)
            {
                return new KeyStep.Renumber(mine, counted);
            }
        }

        KeyName newest = known.DefaultIfEmpty(own.Newest).Max();
        if (newest > own.Newest && Fetch(newest) is { } fetch)
        {
            return fetch;
        }

        if (theirs.Count < others.Count)
        {
            return null;
        }

        ImmutableArray<KeyName> shared = [.. own.Held.Where(k => k > own.Active && theirs.TrueForAll(h => h.Holds(k.Id)))];
        if (!shared.IsEmpty)
        {
            return new KeyStep.Use(shared.Max());
        }

        return own.Held.Length > 1 && own.Newest == own.Active && theirs.TrueForAll(h => h.Active.Id == own.Active.Id)
            ? new KeyStep.Retire(own.Held.Remove(own.Active))
            : null;

        KeyStep.Fetch? Fetch(KeyName key)
        {
            KeyName? drop = own.Held.Length < KeyRing.MaxSecrets ? null : LeastNeeded(own, theirs);
            return own.Held.Length < KeyRing.MaxSecrets || drop is not null
                ? new KeyStep.Fetch(key, [.. others.Where(n => stated.TryGetValue(n, out KeyHolding? h) && h.Holds(key.Id))], drop)
                : null;
        }
    }

    /// <summary>
    /// The key a full ring misses least: one that is no live member's best common key with us. Newer ones first, because
    /// who has been away longest holds the oldest. Rings get full only when a cluster in several pieces rotated in each.
    /// </summary>
    private static KeyName? LeastNeeded(KeyHolding own, IEnumerable<KeyHolding> theirs)
    {
        HashSet<uint> needed = [.. theirs.SelectMany(h => own.Held.Where(k => k <= own.Active && h.Holds(k.Id)).TakeLast(1)).Select(k => k.Id)];
        ImmutableArray<KeyName> spare = [.. own.Held.Where(k => k != own.Active && !needed.Contains(k.Id))];
        return spare.IsEmpty ? null : spare.Max();
    }
}
