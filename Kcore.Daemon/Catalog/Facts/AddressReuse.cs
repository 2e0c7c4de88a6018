namespace Kcore.Daemon.Catalog.Facts;

/// <summary>Whether an overlay gives an address again that was given back. Numbers are on the wire and in logs.</summary>
public enum AddressReuse : byte
{
    /// <summary>Never: an address tells for ever which guest it was.</summary>
    Never = 0,

    /// <summary>Once all others were given and ten minutes have passed since.</summary>
    Quarantine = 1,
}
