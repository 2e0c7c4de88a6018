using System.Collections.Immutable;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>
/// The secrets a node accepts, oldest first, and the one it seals with. Rotation is add everywhere, then use everywhere,
/// then remove everywhere; no datagram is lost on the way, because a node accepts what any of its secrets opens. The ring
/// owns its secrets. One owner changes it; everybody may read at any time.
/// </summary>
public sealed class KeyRing : IDisposable
{
    /// <summary>Two for a rotation under way and two for one that was begun elsewhere at the same time.</summary>
    public const int MaxSecrets = 4;

    private volatile Content _content;

    public KeyRing(ClusterSecret active) => _content = new Content([active], active, 0);

    /// <summary>All of it at one moment, for whoever needs its parts to fit.</summary>
    public Content Current => _content;

    /// <summary>The secret that seals what this node sends.</summary>
    public ClusterSecret Active => _content.Active;

    /// <summary>Every secret accepted, oldest first.</summary>
    public ImmutableArray<ClusterSecret> Secrets => _content.Secrets;

    /// <summary>Ids of every secret accepted, oldest first.</summary>
    public IReadOnlyList<uint> KeyIds => [.. _content.Secrets.Select(secret => secret.KeyId)];

    /// <summary>Grows with every change, so that holders of derived keys know when to look again.</summary>
    public int Version => _content.Version;

    /// <summary>
    /// Accepts these secrets, oldest first, from now on and seals with <paramref name="active"/>. Secrets of the ring that
    /// are not among them are zeroed.
    /// </summary>
    /// <exception cref="ArgumentException">They are none or too many, two have one id, or the active one is not among them.</exception>
    public void Replace(ImmutableArray<ClusterSecret> secrets, uint active)
    {
        if (secrets.Length is 0 or > MaxSecrets || secrets.DistinctBy(s => s.KeyId).Count() != secrets.Length)
        {
            throw new ArgumentException($"A ring holds 1 to {MaxSecrets} different secrets.", nameof(secrets));
        }

        Content before = _content;
        ClusterSecret sealing = secrets.FirstOrDefault(s => s.KeyId == active)
            ?? throw new ArgumentException("The active secret is not in the ring.", nameof(active));
        _content = new Content(secrets, sealing, before.Version + 1);
        foreach (ClusterSecret secret in before.Secrets)
        {
            if (!secrets.Contains(secret))
            {
                secret.Dispose();
            }
        }
    }

    /// <summary>Accepts one more secret. False when the ring is full, or holds this one or one of the same id.</summary>
    public bool TryAdd(ClusterSecret secret)
    {
        if (_content.Secrets.Length == MaxSecrets || Find(secret.KeyId) is not null)
        {
            return false;
        }

        Replace(_content.Secrets.Add(secret), Active.KeyId);
        return true;
    }

    /// <summary>Seals with this secret from now on. False when the ring does not hold it.</summary>
    public bool Use(uint keyId)
    {
        if (Find(keyId) is null)
        {
            return false;
        }

        Replace(_content.Secrets, keyId);
        return true;
    }

    /// <summary>Forgets and zeroes a secret. False when the ring does not hold it or seals with it.</summary>
    public bool Remove(uint keyId)
    {
        if (keyId == Active.KeyId || Find(keyId) is not { } secret)
        {
            return false;
        }

        Replace(_content.Secrets.Remove(secret), Active.KeyId);
        return true;
    }

    /// <summary>The secret of that id, or null.</summary>
    public ClusterSecret? Find(uint keyId)
    {
        foreach (ClusterSecret secret in _content.Secrets)
        {
            if (secret.KeyId == keyId)
            {
                return secret;
            }
        }

        return null;
    }

    /// <summary>
    /// Which keys to seal a datagram with for somebody who holds the keys that <paramref name="holds"/> says: the newest
    /// one both hold that is not newer than the active one. When nothing is known of the receiver, every such key, for
    /// one of them will be right. Never empty.
    /// </summary>
    public ImmutableArray<uint> SendKeys(Predicate<uint> holds)
    {
        Content now = _content;
        if (now.Secrets.Length == 1)
        {
            return [now.Active.KeyId];
        }

        int newest = now.Secrets.IndexOf(now.Active);
        for (int i = newest; i >= 0; i--)
        {
            if (holds(now.Secrets[i].KeyId))
            {
                return [now.Secrets[i].KeyId];
            }
        }

        return [.. now.Secrets.Take(newest + 1).Select(s => s.KeyId).Reverse()];
    }

    public void Dispose()
    {
        foreach (ClusterSecret secret in _content.Secrets)
        {
            secret.Dispose();
        }
    }

    /// <summary>The ring at one moment.</summary>
    public sealed record Content(ImmutableArray<ClusterSecret> Secrets, ClusterSecret Active, int Version);
}
