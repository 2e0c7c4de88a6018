namespace Kcore.Simulation.Engine;

/// <summary>Packets and bytes of one direction of one node.</summary>
public sealed class Traffic
{
    /// <summary>Header and tag of a sealed datagram, and IPv4 and UDP headers.</summary>
    public const int DatagramOverhead = 54 + 28;

    public long Datagrams { get; private set; }

    public long DatagramBytes { get; private set; }

    public long StreamBytes { get; private set; }

    /// <summary>Bytes as they would be on the wire, without Ethernet and without the headers of TCP and TLS.</summary>
    public long WireBytes => DatagramBytes + (Datagrams * DatagramOverhead) + StreamBytes;

    internal void AddDatagram(int payload)
    {
        Datagrams++;
        DatagramBytes += payload;
    }

    internal void AddStream(int bytes) => StreamBytes += bytes;
}
