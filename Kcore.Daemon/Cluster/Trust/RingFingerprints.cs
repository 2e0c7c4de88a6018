using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>The fingerprints of the keys in the ring, by which nodes of one cluster recognise each other on a LAN.</summary>
internal sealed class RingFingerprints(KeyRing ring)
{
    private sealed record Computed(int Version, string Active, string Others, string[] All);

    private Computed? _computed;

    /// <summary>Of the key this node seals with.</summary>
    public string Active => Now.Active;

    /// <summary>Of the other keys it accepts, joined by dots; empty when there are none.</summary>
    public string Others => Now.Others;

    public bool Contains(string fingerprint) => Now.All.Contains(fingerprint, StringComparer.Ordinal);

    private Computed Now
    {
        get
        {
            Computed? known = Volatile.Read(ref _computed);
            if (known is not null && known.Version == ring.Version)
            {
                return known;
            }

            KeyRing.Content content = ring.Current;
            try
            {
                string active = content.Active.Fingerprint();
                string[] others = [.. content.Secrets.Where(s => s != content.Active).Select(s => s.Fingerprint())];
                known = new Computed(content.Version, active, string.Join('.', others), [active, .. others]);
                Volatile.Write(ref _computed, known);
            }
            catch (ObjectDisposedException)
            {
                // The ring has just changed; the next look sees it.
            }

            return known ?? new Computed(-1, "", "", []);
        }
    }
}
