namespace Kcore.Gossip.Wire.Sealing;

/// <summary>
/// The secrets a node accepts, and the one it seals with. Rotation is add everywhere, then <see cref="Use"/>
/// everywhere, then <see cref="Remove"/> everywhere; no datagram is lost on the way, because a node accepts what any
/// of its secrets opens. The ring owns its secrets. Not thread-safe: it belongs to the loop that seals and opens.
/// </summary>
public sealed class KeyRing : IDisposable
{
    /// <summary>Two for a rotation under way and two for one that was interrupted.</summary>
    public const int MaxSecrets = 4;

    private readonly List<ClusterSecret> _secrets = new(MaxSecrets);

    public KeyRing(ClusterSecret active)
    {
        _secrets.Add(active);
        Active = active;
    }

    /// <summary>The secret that seals what this node sends.</summary>
    public ClusterSecret Active { get; private set; }

    /// <summary>Ids of every secret accepted, oldest first.</summary>
    public IReadOnlyList<uint> KeyIds => [.. _secrets.Select(secret => secret.KeyId)];

    /// <summary>Grows with every change, so that holders of derived keys know when to look again.</summary>
    public int Version { get; private set; }

    /// <summary>Accepts one more secret. False when the ring is full, or holds this one or one of the same id.</summary>
    public bool TryAdd(ClusterSecret secret)
    {
        if (_secrets.Count == MaxSecrets || Find(secret.KeyId) is not null)
        {
            return false;
        }

        _secrets.Add(secret);
        Version++;
        return true;
    }

    /// <summary>Seals with this secret from now on. False when the ring does not hold it.</summary>
    public bool Use(uint keyId)
    {
        if (Find(keyId) is not { } secret)
        {
            return false;
        }

        Active = secret;
        Version++;
        return true;
    }

    /// <summary>Forgets and zeroes a secret. False when the ring does not hold it or seals with it.</summary>
    public bool Remove(uint keyId)
    {
        if (keyId == Active.KeyId || Find(keyId) is not { } secret)
        {
            return false;
        }

        _secrets.Remove(secret);
        secret.Dispose();
        Version++;
        return true;
    }

    /// <summary>The secret of that id, or null.</summary>
    public ClusterSecret? Find(uint keyId)
    {
        foreach (ClusterSecret secret in _secrets)
        {
            if (secret.KeyId == keyId)
            {
                return secret;
            }
        }

        return null;
    }

    public void Dispose()
    {
        foreach (ClusterSecret secret in _secrets)
        {
            secret.Dispose();
        }
    }
}
