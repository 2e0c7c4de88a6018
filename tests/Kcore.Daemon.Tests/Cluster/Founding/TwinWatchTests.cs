using System.Net;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Cluster.Founding;

public sealed class TwinWatchTests : IDisposable
{
    private static readonly IPEndPoint There = new(new IPAddress([192, 0, 2, 4]), 7946);
    private readonly TestDatabase _test = new();

    [Theory]
    [InlineData("node-a", "node-b", +1, false)]
    [InlineData("node-a", "node-b", -1, false)]
    [InlineData("node-b", "node-a", +1, true)]
    [InlineData("node-b", "node-a", -1, true)]
    [InlineData("node-a", "node-a", +1, false)]
    [InlineData("node-a", "node-a", -1, true)]
    [InlineData("node-b", "node-c", +1, false)]
    [InlineData("node-b", "node-c", -1, true)]
    public void Who_has_the_name_of_the_identity_keeps_it_and_else_the_smaller_nonce(string own, string other, int otherNonce, bool yields)
    {
        NodeIdentity identity = Load();
        identity.RememberName("node-a");
        TwinWatch watch = Watch(identity, own);
        watch.Met(There, other, identity.BootNonce + (ulong)otherNonce);

        Assert.Equal(yields, watch.Yields);

        // Who keeps the identity but began earlier is heard by nobody until it begins again.
        Assert.Equal(!yields && otherNonce > 0, watch.IsOvertaken);
    }

    [Fact]
    public void Ones_own_echo_and_somebody_who_does_not_say_are_no_twins()
    {
        NodeIdentity identity = Load();
        TwinWatch watch = Watch(identity, "node-x");
        watch.Met(There, "node-x", identity.BootNonce);
        watch.Met(There, "node-x", 0);

        Assert.False(watch.Yields);
    }

    public void Dispose() => _test.Dispose();

    private NodeIdentity Load() => NodeIdentity.Load(new MetaStore(_test.Database), "machine-1", NullLogger.Instance);

    private TwinWatch Watch(NodeIdentity identity, string name) =>
        new(identity, name, new EventLog(_test.Database, TimeProvider.System, name, NullLogger.Instance), NullLogger.Instance);
}
