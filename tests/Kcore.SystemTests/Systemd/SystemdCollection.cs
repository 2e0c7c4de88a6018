namespace Kcore.SystemTests.Systemd;

/// <summary>Tests that boot hosts run alone: they measure lost packets, and two processors are soon busy.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class SystemdCollection
{
    public const string Name = "systemd hosts";
}
