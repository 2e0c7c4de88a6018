using Kcore.Daemon.Api;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;

namespace Kcore.Daemon.Tests.Api;

public class ApiServerTests
{
    /// <summary>A file provider watches its directory with all below it, which for a service is the whole file system.</summary>
    [Fact]
    public void The_api_takes_no_settings_from_files_in_the_working_directory()
    {
        WebApplicationBuilder builder = ApiServer.NewBuilder();
        Assert.Empty(((IConfigurationRoot)builder.Configuration).Providers.OfType<FileConfigurationProvider>());
    }
}
