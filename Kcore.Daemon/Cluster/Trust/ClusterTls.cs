using System.Collections.Immutable;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>The TLS options that fit the key ring as it is now: certificates follow a rotation.</summary>
internal sealed class ClusterTls : IDisposable
{
    private readonly Lock _making = new();
    private readonly KeyRing _ring;
    private readonly UInt128 _nodeUid;
    private readonly TimeProvider _time;
    private ClusterCertificates _certificates;
    private TlsOptions _options;

    public ClusterTls(KeyRing ring, UInt128 nodeUid, TimeProvider time)
    {
        _ring = ring;
        _nodeUid = nodeUid;
        _time = time;
        _certificates = new ClusterCertificates(ring, nodeUid, time);
        _options = new TlsOptions(_certificates);
    }

    public TlsOptions Current
    {
        get
        {
            lock (_making)
            {
                if (_certificates.RingVersion != _ring.Version)
                {
                    // Those before are not disposed of: handshakes under way still use them. There are few rotations.
                    _certificates = new ClusterCertificates(_ring, _nodeUid, _time);
                    _options = new TlsOptions(_certificates);
                }

                return _options;
            }
        }
    }

    /// <summary>The keys worth dialling with, best first: the active one, those before it, those to come.</summary>
    public ImmutableArray<uint> DialKeys
    {
        get
        {
            uint active = _ring.Active.KeyId;
            IReadOnlyList<uint> ids = _ring.KeyIds;
            int at = Math.Max(0, ids.ToList().IndexOf(active));
            return [active, .. ids.Take(at).Reverse(), .. ids.Skip(at + 1)];
        }
    }

    public void Dispose()
    {
        lock (_making)
        {
            _certificates.Dispose();
        }
    }
}
