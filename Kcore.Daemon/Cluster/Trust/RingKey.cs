using System.Collections.Immutable;
using System.Globalization;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>
/// Names a key and says where it stands in the order of rotations. Of two rotations begun at the same time, in halves of
/// a split cluster say, both have one generation; then the id decides, the same way on every node.
/// </summary>
/// <param name="Generation">0 for the key a cluster began with, one more with every rotation.</param>
internal readonly record struct KeyName(uint Generation, uint Id) : IComparable<KeyName>
{
    /// <summary>A rotation a minute for two years; more is somebody's mistake, and rotation must never run out of numbers.</summary>
    public const uint MaxGeneration = 1 << 20;

    /// <summary>Eight hexadecimal digits, as in logs and in <c>kctl cluster keys</c>.</summary>
    public string Text => Id.ToString("x8", CultureInfo.InvariantCulture);

    public int CompareTo(KeyName other)
    {
        int order = Generation.CompareTo(other.Generation);
        return order != 0 ? order : Id.CompareTo(other.Id);
    }

    public static bool operator <(KeyName a, KeyName b) => a.CompareTo(b) < 0;

    public static bool operator >(KeyName a, KeyName b) => a.CompareTo(b) > 0;

    public static bool operator <=(KeyName a, KeyName b) => a.CompareTo(b) <= 0;

    public static bool operator >=(KeyName a, KeyName b) => a.CompareTo(b) >= 0;
}

/// <summary>A key of this node.</summary>
/// <param name="Overlap">How long the keys before this one stay valid after it became active.</param>
/// <param name="ActiveSince">By the wall clock, for it has to outlive restarts; null while staged.</param>
internal sealed record RingKey(uint Generation, ClusterSecret Secret, TimeSpan Overlap, DateTimeOffset? ActiveSince)
{
    /// <summary>A day: long enough for a host that is switched off over night to come back by itself.</summary>
    public static readonly TimeSpan DefaultOverlap = TimeSpan.FromHours(24);

    /// <summary>Keys are not meant to pile up.</summary>
    public static readonly TimeSpan MaxOverlap = TimeSpan.FromDays(30);

    /// <summary>Less, and a member that restarts just then would be locked out.</summary>
    public static readonly TimeSpan MinOverlap = TimeSpan.FromSeconds(10);

    public KeyName Name => new(Generation, Secret.KeyId);
}

/// <summary>The keys of this node, oldest first, and which of them it seals with. At most <see cref="KeyRing.MaxSecrets"/>.</summary>
internal sealed record RingContent(ImmutableArray<RingKey> Keys, uint Active)
{
    public RingKey ActiveKey => Keys.Single(k => k.Secret.KeyId == Active);

    /// <summary>What others are told of it.</summary>
    public KeyHolding Holding => new([.. Keys.Select(k => k.Name)], ActiveKey.Name);

    /// <summary>One key, as every cluster begins.</summary>
    public static RingContent Of(ClusterSecret secret) =>
        new([new RingKey(0, secret, RingKey.DefaultOverlap, null)], secret.KeyId);

    public RingContent With(RingKey key) => this with { Keys = [.. Keys.Append(key).OrderBy(k => k.Name)] };

    public RingContent Without(KeyName key) => this with { Keys = Keys.RemoveAll(k => k.Name == key) };

    public void ApplyTo(KeyRing ring) => ring.Replace([.. Keys.Select(k => k.Secret)], Active);
}
