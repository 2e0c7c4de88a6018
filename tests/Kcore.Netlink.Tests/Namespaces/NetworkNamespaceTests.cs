using Kcore.Netlink.Namespaces;

namespace Kcore.Netlink.Tests.Namespaces;

public sealed class NetworkNamespaceTests
{
    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("../../proc/1/ns/net")]
    [InlineData("a/b")]
    [InlineData("a\0b")]
    public void A_name_that_could_leave_the_folder_is_refused(string name) =>
        Assert.Throws<ArgumentException>(() => NetworkNamespace.Named(name));

    [Fact]
    public void What_is_no_network_namespace_is_refused()
    {
        Assert.Equal(Errno.ENOENT, Assert.Throws<NetlinkException>(() => NetworkNamespace.Named("surely-absent")).Errno);
        Assert.Throws<NetlinkException>(() => NetworkNamespace.Open("/dev/null"));
        Assert.Equal(Errno.EINVAL, Assert.Throws<NetlinkException>(() => NetworkNamespace.Open("/proc/self/ns/uts")).Errno);
    }

    [Fact]
    public void The_same_namespace_has_one_identity()
    {
        using NetworkNamespace here = NetworkNamespace.Current();
        using NetworkNamespace own = NetworkNamespace.OfProcess(Environment.ProcessId);
        Assert.Equal(here.Identity, own.Identity);
    }

    [SkippableFact]
    public void Another_namespace_is_entered_by_its_own_thread_only()
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "network namespaces need root");
        using NetworkNamespace here = NetworkNamespace.Current();
        using NetworkNamespace other = NetworkNamespace.CreateAnonymous();
        Assert.NotEqual(here.Identity, other.Identity);
        using NetworkNamespace inside = other.Run(NetworkNamespace.Current);
        Assert.Equal(other.Identity, inside.Identity);
        using NetworkNamespace after = NetworkNamespace.Current();
        Assert.Equal(here.Identity, after.Identity);
    }

    [SkippableFact]
    public void An_exception_inside_comes_out_unchanged()
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "network namespaces need root");
        using NetworkNamespace other = NetworkNamespace.CreateAnonymous();
        Assert.Throws<FormatException>(() => other.Run(() => int.Parse("x")));
    }
}
